/** What may wait in a socket before more is written to it. */
const MAX_BUFFERED_BYTES = 262_144;

/** Whether the client has taken enough of what was sent to be sent more. */
export function hasRoom({ bufferedAmount }: WebSocket): boolean {
  return bufferedAmount <= MAX_BUFFERED_BYTES;
}
