import { pause } from "../pause.ts";

/** Text that this isolate holds whole at a time, in bytes: of its 128 MB, with room for the copies on its way out. */
const MAX_WHOLE_BYTES = 16_777_216;

/** How often it is looked whether there is room. A promise cannot be waited for that another request will resolve. */
const LOOK_AGAIN_MS = 50;

let heldBytes = 0;

/**
 * Resolves once this isolate may hold so much more, or nobody waits for it any more. It is to be let go again; where its
 * reader goes first it is let go then, for what a request still awaits may never come once its client has left.
 */
export async function holdWhole(bytes: number, gone: AbortSignal): Promise<() => void> {
  // One that is too long for any room goes alone.
  const hasRoom = () => heldBytes === 0 || heldBytes + bytes <= MAX_WHOLE_BYTES;
  while (!hasRoom() && !gone.aborted) {
    await pause(LOOK_AGAIN_MS * (1 + Math.random()), gone);
  }
  if (gone.aborted) return () => {};
  heldBytes += bytes;
  let held = bytes;
  const letGo = () => {
    gone.removeEventListener("abort", letGo);
    heldBytes -= held;
    held = 0;
  };
  gone.addEventListener("abort", letGo);
  return letGo;
}
