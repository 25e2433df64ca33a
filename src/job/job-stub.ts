import type { JobRpc, OwnJob } from "./job-rpc.ts";

/** The job object of this name. Cheap: take a new one after a call has thrown, for that one is broken for good. */
export function jobNamed(env: Env, name: string): JobRpc {
  return env.JOBS.getByName(name);
}

/** The same for the tenant whose job it should be. Its name says so already; the object compares what it holds. */
export function ownJobNamed(env: Env, name: string, tenant: string): OwnJob {
  const job = jobNamed(env, name);
  return {
    cancel: (reason) => job.cancel(reason, tenant),
    delete: () => job.delete(tenant),
    source: () => job.source(tenant),
    deliveries: () => job.deliveries(tenant),
    replayDelivery: (deliveryId) => job.replayDelivery(deliveryId, tenant),
    attempts: () => job.attempts(tenant),
    steps: () => job.steps(tenant),
    input: (input) => job.input(input, tenant),
    read: (withPartialOutput) => job.read(withPartialOutput, tenant),
    glance: () => job.glance(tenant),
    log: (after, textApart) => job.log(after, textApart, tenant),
    fetch: (request) => {
      const headers = new Headers(request.headers);
      headers.set("tenant", tenant);
      return job.fetch(new Request(request, { headers }));
    },
  };
}
