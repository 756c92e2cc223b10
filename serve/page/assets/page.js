// Connects the text, the questions and the server.

import { AnswerCard } from "./answers/card.js";
import { ask, highlight, invocationsUrl } from "./api.js";
import { button, byId, showMessage } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { describeServer, watchStart } from "./server.js";
import { TextPane } from "./text/text_pane.js";

const TOP_K = 5; // answers to each question: the best one, and further ones to look at

const questionField = byId("question");
const status = byId("status");
const cards = []; // those about the present text
let controller = null; // of the question that is being answered

let shownCard = null;
const pane = new TextPane(() => {
  controller?.abort();
  for (const card of cards.splice(0)) card.expire();
  shownCard = null;
  byId("suggestions").hidden = true;
});

const hooks = {
  hover(card, span) {
    if (!cards.includes(card)) return;
    if (span !== null) show(card);
    pane.view.emphasize(span);
  },
  choose(card, span) {
    pane.read();
    show(card);
    pane.view.reveal(span);
    pane.view.emphasize(span);
    byId("reading").scrollIntoView({ block: "nearest" });
  },
};

/** Highlight the answers of a card. isChanged: the card has other answers than before. */
function show(card, isChanged = false) {
  if (card !== shownCard || isChanged) pane.view.show(card.spans);
  shownCard = card;
}

function checkQuestion(question) {
  const problem = question === "" ? "There is no question yet. Write one." : "";
  showMessage(byId("question-error"), problem);
  questionField.setAttribute("aria-invalid", String(problem !== ""));
  if (problem !== "") questionField.focus();
  return problem === "";
}

async function askQuestion(question) {
  if (controller !== null) {
    status.textContent = "Wait for the answer to your last question, or stop it.";
    return;
  }
  if (!pane.check() || !checkQuestion(question)) return;
  controller = new AbortController();
  byId("stop").hidden = false;
  pane.read();
  questionField.select();
  try {
    await answer(question, pane.text, controller.signal);
  } finally {
    controller = null;
    byId("stop").hidden = true;
  }
}

/** Show a card for the question, and fill it. */
async function answer(question, context, signal) {
  let served;
  try {
    served = await describeServer(signal);
    if (served.precisions.length === 0) throw Object.assign(new Error("no precision is served"), { type: "not_ready" });
  } catch (error) {
    const failed = new AnswerCard(question, ["No answer"], hooks);
    byId("answers").prepend(failed.root);
    status.textContent = failed.addError("No answer", error);
    return;
  }
  if (signal.aborted) return;
  const [fastest] = served.precisions;
  const body = bodyOf(question, context, fastest);
  const card = new AnswerCard(question, served.hasAnswers ? served.precisions : [], hooks);
  card.addCommand(invocationsUrl(), served.hasAnswers ? body : { ...body, parameters: { task: "highlight" } });
  cards.push(card);
  byId("answers").prepend(card.root);
  if (served.hasAnswers) {
    for (const precision of served.precisions) await answerIn(precision, card, question, context, signal);
  }
  await highlightIn(fastest, card, question, context, signal);
}

/** Mark the sentences in which the answer lies, beside the answers. */
async function highlightIn(precision, card, question, context, signal) {
  if (card.hasFailed) return;
  try {
    const found = card.addSentences(await highlight(bodyOf(question, context, precision), signal));
    show(card, true);
    if (card.hasAnswers) return;
    status.textContent = found;
    if (card.spans.length > 0) pane.view.reveal(card.spans[0]);
  } catch (error) {
    status.textContent = card.addSentencesError(error);
  }
}

/** Ask one precision. They are asked one after another: at the same time, they would take the cores from each other. */
async function answerIn(precision, card, question, context, signal) {
  if (card.hasFailed) return;
  card.start(precision);
  try {
    const { answers, milliseconds } = await ask(bodyOf(question, context, precision), signal);
    const isFirst = card.spans.length === 0;
    status.textContent = card.addAnswers(precision, answers, milliseconds);
    show(card, true);
    if (isFirst && card.spans.length > 0) pane.view.reveal(card.spans[0]);
  } catch (error) {
    status.textContent = card.addError(precision, error);
  }
}

function bodyOf(question, context, precision) {
  return { question, context, precision, parameters: { task: "question-answering", top_k: TOP_K } };
}

function loadExample({ text, questions }) {
  pane.set(text);
  const suggestions = byId("suggestions");
  const askThis = (question) => {
    questionField.value = question;
    askQuestion(question);
  };
  suggestions.replaceChildren(...questions.map((question) => button(question, () => askThis(question))));
  suggestions.hidden = false;
  questionField.value = questions[0];
  status.textContent = "The example is loaded, with its first question.";
}

byId("examples").append(...EXAMPLES.map((example) => button(example.title, () => loadExample(example))));
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  askQuestion(questionField.value.trim());
});
byId("stop").addEventListener("click", () => controller?.abort());
questionField.addEventListener("input", () => {
  showMessage(byId("question-error"), "");
  questionField.removeAttribute("aria-invalid");
});
watchStart((limits) => {
  pane.limits = limits;
});
