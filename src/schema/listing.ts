import { z } from "zod";

import { JobStatus, JobView } from "./job.ts";

/** A job as it stands in a list: all but its text. */
export const ListedJob = JobView.omit({ result: true, partial_output: true }).meta({
  id: "ListedJob",
  description: "A job without its text, which reading the job gives.",
});
export type ListedJob = z.infer<typeof ListedJob>;

export const JobListQuery = z.strictObject({
  status: JobStatus.optional(),
  model: z.string().min(1).max(200).optional().meta({
    description: "The model asked for, as it was named at submission.",
    example: "gpt-4o",
  }),
  created_after: z.iso.datetime({ offset: true }).optional().meta({
    description: "Only jobs submitted later than this instant.",
    example: "2026-11-01T12:00:00Z",
  }),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().min(1).max(200).optional().meta({
    description: "`next_cursor` of the page before, with the same filters.",
  }),
});

export const JobList = z
  .object({
    jobs: z.array(ListedJob),
    has_more: z.boolean().meta({
      description:
        "Whether to ask for another page. With `status` queued or active a page may hold fewer jobs than `limit`, even none, and there may still be more.",
    }),
    next_cursor: z.string().nullable(),
  })
  .meta({ id: "JobList", example: { jobs: [], has_more: false, next_cursor: null } });
export type JobList = z.infer<typeof JobList>;
