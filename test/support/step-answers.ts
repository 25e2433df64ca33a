import type { Api } from "./api.ts";
import type { Ask } from "./tenant-answers.ts";

/** Asks for all that the routes about a job's steps may answer. `gone`: the id of a job that was deleted. */
export async function askAboutSteps(api: Api, ask: Ask, gone: string): Promise<void> {
  const read = (status: number, id: string) =>
    ask("GET", "/api/jobs/{id}/steps", status, { url: `/api/jobs/${id}/steps` });
  const answer = (status: number, id: string, body: unknown, type = "application/json") =>
    ask("POST", "/api/jobs/{id}/input", status, {
      url: `/api/jobs/${id}/input`,
      body: JSON.stringify(body),
      headers: { "content-type": type },
    });
  const { job_id: id } = await api.submit({
    steps: [
      { name: "approve", type: "approval" },
      { name: "note", type: "template", template: "{{steps.approve.output}}" },
    ],
  });
  const { waiting_for } = await api.read(id);
  const yes = { request_id: waiting_for?.request_id, approved: true };
  await ask("GET", "/api/jobs/{id}", 200, { url: `/api/jobs/${id}` });
  await read(200, id);
  await answer(400, id, {});
  await answer(409, id, { ...yes, request_id: "another" });
  await answer(413, id, { ...yes, data: "x".repeat(1_048_577) });
  await answer(415, id, yes, "text/plain");
  await answer(200, id, yes);
  await api.ended(id);
  await answer(409, id, { ...yes, approved: false });
  await read(200, id);
  await ask("GET", "/api/jobs/{id}/events", 200, { url: `/api/jobs/${id}/events` });
  await ask("GET", "/api/jobs/{id}/attempts", 200, { url: `/api/jobs/${id}/attempts` });
  for (const [status, other] of [
    [404, "undocumented"],
    [410, gone],
  ] as const) {
    await read(status, other);
    await answer(status, other, yes);
  }
}
