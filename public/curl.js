// @ts-check

/**
 * The request as a POSIX shell command. JSON has no raw line breaks and the prompt stands in single quotes, so
 * a shell sees none of it.
 *
 * @param {string} origin
 * @param {{ prompt: string, model: string }} request
 */
export function submitCommand(origin, request) {
  return [
    `curl ${origin}/api/jobs`,
    `-H 'Content-Type: application/json'`,
    `-d ${quoted(JSON.stringify(request))}`,
  ].join(" \\\n  ");
}

/**
 * @param {string} origin
 * @param {string} id
 */
export function watchCommand(origin, id) {
  return `curl -N ${origin}/api/jobs/${encodeURIComponent(id)}/events`;
}

/**
 * @param {string} origin
 * @param {string} id
 */
export function pollCommand(origin, id) {
  return `curl ${origin}/api/jobs/${encodeURIComponent(id)}`;
}

/**
 * Nothing is special between single quotes but the single quote.
 *
 * @param {string} text
 */
function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
