// The two routes of the server that the page calls. Addresses are relative, so that a proxy may add a prefix.

const INVOCATIONS = "invocations";
const INFO = "info";

/** An error that the server, or something in front of it, answered. */
export class ServerError extends Error {
  constructor(status, body, retryAfterSeconds) {
    super(body.error ?? `status ${status}`);
    this.type = body.error_type ?? "unknown";
    this.status = status;
    this.requestId = body.request_id ?? null;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Return what the server says about its model. Raises ServerError, or TypeError if there is no connection. */
export async function fetchInfo(signal) {
  return read(await fetch(INFO, { signal }));
}

/** Ask one question. Return its answers, best first, and the time until they had arrived. Raises as fetchInfo does. */
export async function ask(body, signal) {
  const content = JSON.stringify(body);
  const start = performance.now();
  const response = await fetch(INVOCATIONS, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: content,
    signal,
  });
  const answered = await read(response);
  return { answers: answered.answers ?? [answered], milliseconds: performance.now() - start };
}

/** Return the sentences that hold the answer, in the order of the text. Raises as fetchInfo does. */
export async function highlight(body, signal) {
  const parameters = { task: "highlight", offset_unit: "code_points" }; // the server may have another default unit
  const response = await fetch(INVOCATIONS, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, parameters }),
    signal,
  });
  return (await read(response)).highlights;
}

/** The address for programs outside of this page. */
export const invocationsUrl = () => new URL(INVOCATIONS, document.baseURI).href;

async function read(response) {
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ServerError(response.status, {}, null); // not this server's JSON: a proxy's page, for example
  }
  if (!response.ok) {
    throw new ServerError(response.status, body, Number(response.headers.get("Retry-After")) || null);
  }
  return body;
}
