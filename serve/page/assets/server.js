// Which model the server has, and whether it is ready.

import { fetchInfo } from "./api.js";
import { byId } from "./dom.js";
import { explain } from "./errors.js";

const FASTEST_FIRST = ["INT8", "BF16", "FP32"];
const AGAIN_MS = 1_000; // between two looks at a server that is loading its model

/** Read /info, show it at the head of the page, and return {precisions, limits, hasAnswers}. Raises what fetchInfo raises. */
export async function describeServer(signal) {
  try {
    const { state, model, precisions, cpu, limits } = await fetchInfo(signal);
    const served = FASTEST_FIRST.filter((precision) => precision in precisions);
    byId("server").textContent =
      state === "ready"
        ? `${model.name} in ${served.join(" and ")} on ${cpu.model}`
        : `The server is ${state}, and cannot answer now.`;
    const hasAnswers = model.task !== "token-relevance"; // such a model marks sentences, and finds no answers
    return { isLoading: state === "loading", precisions: served, limits, hasAnswers };
  } catch (error) {
    const { summary, advice } = explain(error);
    if (error.name !== "AbortError") byId("server").textContent = `${summary} ${advice}`;
    throw error;
  }
}

/** Describe the server now, and again until it has loaded its model. onLimits: called with its limits. */
export async function watchStart(onLimits) {
  try {
    const { isLoading, limits } = await describeServer();
    onLimits(limits);
    if (isLoading) setTimeout(() => watchStart(onLimits), AGAIN_MS);
  } catch {
    // The page says what is wrong. The next question tries again.
  }
}
