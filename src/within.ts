/** Thrown where an answer did not come in time. */
class TooLate extends Error {
  override name = "TooLate";
}

/** The value of the promise, or a rejection with TooLate if it takes longer than `ms`. What comes later is dropped. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new TooLate()), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
