// What went wrong, in words, and what to do. The keys are those of `error_type` in the API.

const ADVICE = {
  invalid_request: "Change the question or the text, and ask again.",
  document_too_long: "Ask about a part of the text.",
  payload_too_large: "Ask about a part of the text.",
  precision_unavailable: "Load this page again: the server has other precisions now.",
  overloaded: "The server has too much to do at the moment.",
  deadline_exceeded: "The server had too much to do, or the text is too long. Ask again, or ask about a part of the text.",
  request_timeout: "The text arrived too slowly. Ask again, on a faster connection if you can.",
  not_authenticated: "This server needs an API key, which this page cannot send.",
  not_ready: "The server is starting or stopping. Wait a moment, and ask again.",
  inference_failed: "The model failed on this text. Ask again; if it fails again, report the request id.",
  internal: "The server has failed. Ask again; if it fails again, report the request id.",
};
const SUMMARIES = {
  invalid_request: "The server cannot use this question or this text.",
  document_too_long: "The text is too long: the server could not answer in time.",
  payload_too_large: "The text is larger than this server accepts.",
  precision_unavailable: "The server does not offer this precision any more.",
  overloaded: "The server is busy.",
  deadline_exceeded: "The answer was not ready in time.",
  request_timeout: "The request was not complete in time.",
  not_authenticated: "The server did not accept this request.",
  not_ready: "The server cannot answer now.",
  inference_failed: "The question could not be answered.",
  internal: "The question could not be answered.",
};

/** Explain an error: {summary, advice, detail}. detail is the server's own message, or "". */
export function explain(error) {
  if (error.name === "AbortError") {
    return { summary: "You stopped this question.", advice: "", detail: "" };
  }
  if (error.type === undefined) {
    return {
      summary: "The server cannot be reached.",
      advice: "Check your connection and that the server is running, and ask again.",
      detail: "",
    };
  }
  const requestId = error.requestId ? ` (request id ${error.requestId})` : "";
  return {
    summary: SUMMARIES[error.type] ?? `The server refused the request with status ${error.status}.`,
    advice: withPause(ADVICE[error.type] ?? "Read the message below.", error.retryAfterSeconds),
    detail: `The server's message: ${error.message}${requestId}`,
  };
}

function withPause(advice, seconds) {
  if (seconds === null) return advice;
  return `${advice} Ask again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
}
