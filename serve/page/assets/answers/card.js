// One question with its answers: a tile for each precision, further answers, and the request as a command.

import { button, element } from "../dom.js";
import { explain } from "../errors.js";
import { copy, curlCommand } from "./curl.js";
import { duration, percent } from "./units.js";

const SHOWN_COMMAND = 2_000; // characters; a command with a long text is shown in part, and copied as a whole
const SENTENCE_RANK = 1_000; // answers go before sentences where both are marked
const LEAST_PAINTED = 0.01; // further answers with a lower score are in the list, but not painted in the text
const ORDINALS = ["Best answer", "Second answer", "Third answer", "Fourth answer", "Fifth answer"];

export class AnswerCard {
  /** The spans of the answers for the reading view: those of the first precision, and others' best if they differ. */
  spans = [];
  hasFailed = false;
  #tiles = element("ul", { className: "tiles" });
  #further = element("div", { className: "further", hidden: true });
  #sentences = element("div", { className: "sentences", hidden: true });
  #tileOf = new Map();
  #first = null; // the precision that answered first, and its time
  #hooks;

  /**
   * precisions: those that answer, or none if the model only marks sentences.
   * hooks: hover(card, span or null) and choose(card, span), called for an answer under the pointer or focus, or pressed.
   */
  constructor(question, precisions, hooks) {
    this.#hooks = hooks;
    this.hasAnswers = precisions.length > 0;
    this.#tiles.hidden = !this.hasAnswers;
    for (const precision of precisions) {
      const tile = element("li", {}, element("h4", {}, precision), element("p", { className: "pending" }, "Waiting"));
      this.#tileOf.set(precision, tile);
      this.#tiles.append(tile);
    }
    const heading = element("h3", { dir: "auto" }, question);
    this.root = element("article", { className: "card", "aria-label": `Question: ${question}` }, heading);
    this.root.append(this.#tiles, this.#further, this.#sentences);
  }

  start(precision) {
    this.#tileOf.get(precision).lastChild.textContent = "Asking the model";
  }

  /** Show the answers of a precision. Return them as a sentence. */
  addAnswers(precision, answers, milliseconds) {
    const isFirst = this.#first === null;
    this.#first ??= { precision, milliseconds };
    const [best] = answers;
    const spans = isFirst
      ? answers.map((answer, index) => this.#addSpan(answer, ORDINALS[index], index > 0 && answer.score < LEAST_PAINTED))
      : [this.#addSpan(best, `Answer of ${precision}`)];
    if (isFirst) this.#showFurther(answers.slice(1), spans.slice(1));
    const ratio = isFirst ? "" : `, ${this.#ratio(milliseconds)}`;
    this.#fill(
      precision,
      best.answer === "" ? element("p", {}, "No answer was found.") : this.#answerButton(best.answer, spans[0]),
      element("p", { className: "score" }, `Score ${percent(best.score)}`, bar(best.score)),
      element("p", { className: "time" }, duration(milliseconds), element("span", {}, ratio)),
    );
    const found = best.answer === "" ? "no answer" : best.answer;
    return `${precision}: ${found}, score ${percent(best.score)}, ${duration(milliseconds)}${ratio}.`;
  }

  /** Show why a precision gave no answer; the others are not asked. Return it as a sentence. */
  addError(precision, error) {
    this.hasFailed = true;
    const { summary, advice, detail } = explain(error);
    this.#fill(
      precision,
      element("p", { className: "error" }, `${summary} ${advice}`),
      detail === "" ? null : element("p", { className: "detail" }, detail),
    );
    for (const [other, tile] of this.#tileOf) {
      if (tile.querySelector(".pending")) this.#fill(other, element("p", {}, "Not asked."));
    }
    return `${precision}: ${summary} ${advice}`;
  }

  /** Show the sentences in which the answer lies. Return them as a sentence. */
  addSentences(highlights) {
    const items = highlights.map(({ start, end, score, text }) => {
      const span = { start, end, rank: SENTENCE_RANK, isSentence: true, label: `Sentence, score ${percent(score)}` };
      this.spans.push(span);
      return element("li", {}, this.#answerButton(text, span), element("span", {}, ` ${percent(score)}`));
    });
    const none = "No sentence was highlighted.";
    this.#showSentences(items.length > 0 ? element("ul", {}, ...items) : element("p", {}, none));
    return items.length > 0 ? `Sentences with the answer: ${highlights.map(({ text }) => text).join(" ")}` : none;
  }

  /** Show why the sentences are not known. Return it as a sentence. */
  addSentencesError(error) {
    const { summary, advice } = explain(error);
    this.#showSentences(element("p", { className: "error" }, `${summary} ${advice}`));
    return `Sentences: ${summary} ${advice}`;
  }

  #showSentences(found) {
    this.#sentences.append(element("h4", {}, "Sentences with the answer"), found);
    this.#sentences.hidden = false;
  }

  /** Offer the request as a command to copy. */
  addCommand(url, body) {
    const command = curlCommand(url, body);
    const shown = command.length > SHOWN_COMMAND ? `${command.slice(0, SHOWN_COMMAND)} …` : command;
    const result = element("span", { role: "status" });
    const onCopy = async () => {
      result.textContent = (await copy(command)) ? "Copied." : "The browser did not copy it. Select the command instead.";
    };
    this.root.append(
      element(
        "details",
        {},
        element("summary", {}, "The request as a curl command"),
        element("pre", { tabIndex: 0, "aria-label": "curl command", role: "group" }, shown),
        element("p", { className: "bar" }, button("Copy the command", onCopy), result),
      ),
    );
  }

  /** The text is another one now, so the answers cannot be shown in it. */
  expire() {
    this.spans = [];
    this.root.classList.add("is-stale");
    for (const each of this.root.querySelectorAll(".answer")) each.disabled = true;
    this.root.querySelector("h3").after(element("p", { className: "detail" }, "This was asked about an earlier text."));
  }

  /** Return the span of an answer, which may be that of an earlier answer. */
  #addSpan({ start, end, score }, name, isUnlikely = false) {
    const known = this.spans.find((span) => span.start === start && span.end === end);
    if (known) {
      known.isUnlikely &&= isUnlikely; // the best answer of another precision is painted
      return known;
    }
    const span = { start, end, rank: this.spans.length, label: `${name}, score ${percent(score)}`, isUnlikely };
    if (end > start) this.spans.push(span);
    return span;
  }

  #showFurther(answers, spans) {
    const items = answers.map(({ answer, score }, index) =>
      element("li", {}, this.#answerButton(answer, spans[index]), element("span", {}, ` ${percent(score)}`)),
    );
    this.#further.append(element("h4", {}, "Further answers"), element("ol", { start: 2 }, ...items));
    this.#further.hidden = items.length === 0;
  }

  #answerButton(answer, span) {
    const created = button(answer, () => this.#hooks.choose(this, span), { className: "answer", dir: "auto" });
    created.title = "Show this answer in the text";
    for (const type of ["pointerenter", "focus"]) created.addEventListener(type, () => this.#hooks.hover(this, span));
    for (const type of ["pointerleave", "blur"]) created.addEventListener(type, () => this.#hooks.hover(this, null));
    return created;
  }

  #fill(precision, ...children) {
    const tile = this.#tileOf.get(precision);
    tile.replaceChildren(tile.firstChild, ...children.filter((child) => child !== null));
  }

  #ratio(milliseconds) {
    const ratio = (milliseconds / this.#first.milliseconds).toFixed(1);
    return `${ratio} times as long as ${this.#first.precision}`;
  }
}

function bar(score) {
  const created = element("span", { className: "score-bar", "aria-hidden": "true" });
  created.style.setProperty("--score", String(score));
  return created;
}
