// The text with its answers highlighted.

import { unitOfPoint, splitIntoBlocks } from "./blocks.js";
import { element } from "../dom.js";

const UNLIKELY_RANK = 1_000_000; // larger than any rank

/**
 * Shows a text, and spans in it.
 *
 * A span is {start, end, rank, label, isSentence, isUnlikely}: code points of the text, its place among the answers from 0,
 * and what to say of it. isSentence: it is a sentence in which the answer lies. isUnlikely: it is painted only while it is
 * emphasized.
 */
export class ReadingView {
  #root;
  #blocks = [];
  #changed = new Set(); // blocks that contain a mark
  #spansOfMark = new Map();

  constructor(root) {
    this.#root = root;
  }

  setText(text) {
    this.#spansOfMark.clear();
    this.#changed.clear();
    this.#blocks = splitIntoBlocks(text);
    for (const block of this.#blocks) block.element = element("div", { className: "block" }, block.text);
    this.#root.replaceChildren(...this.#blocks.map((block) => block.element));
    this.#root.scrollTop = 0;
  }

  /** Highlight these spans, and no others. */
  show(spans) {
    for (const block of this.#changed) block.element.textContent = block.text;
    this.#changed.clear();
    this.#spansOfMark.clear();
    for (const block of this.#blocks) {
      const pieces = spans.filter((span) => span.start < block.lastPoint && span.end > block.firstPoint);
      if (pieces.length > 0) this.#mark(block, pieces);
    }
  }

  /** Emphasize one of the spans, or none. */
  emphasize(span) {
    for (const [mark, spans] of this.#spansOfMark) mark.classList.toggle("is-active", spans.includes(span));
  }

  /** Scroll to a span. The page itself does not move. */
  reveal(span) {
    const mark = this.#marksOf(span)[0];
    if (!mark) return;
    // Blocks that were never on the screen have an estimated height, so the first jump may miss.
    for (let jump = 0; jump < 2; jump += 1) {
      const offset = mark.getBoundingClientRect().top - this.#root.getBoundingClientRect().top;
      if (offset < 0 || offset > this.#root.clientHeight - 40) {
        this.#root.scrollTop += offset - this.#root.clientHeight / 3;
      }
    }
  }

  /** The best span that is painted at a mark, or null. */
  spanAt(target) {
    return this.#spansOfMark.get(target)?.find((span) => !span.isUnlikely) ?? null;
  }

  #marksOf(span) {
    return [...this.#spansOfMark].filter(([, spans]) => spans.includes(span)).map(([mark]) => mark);
  }

  /** Spans may overlap: each part of the text between two ends of spans becomes one mark. */
  #mark(block, spans) {
    const ranges = spans.map((span) => ({
      span,
      start: unitOfPoint(block.text, Math.max(0, span.start - block.firstPoint)),
      end: unitOfPoint(block.text, Math.min(span.end, block.lastPoint) - block.firstPoint),
    }));
    const cuts = [0, block.text.length, ...ranges.flatMap(({ start, end }) => [start, end])];
    const ordered = [...new Set(cuts)].sort((a, b) => a - b);
    const parts = ordered.slice(1).map((end, index) => {
      const start = ordered[index];
      const covering = ranges.filter((range) => range.start <= start && range.end >= end);
      const text = block.text.slice(start, end);
      return covering.length > 0 ? this.#createMark(text, covering, start, end) : text;
    });
    block.element.replaceChildren(...parts);
    this.#changed.add(block);
  }

  #createMark(text, covering, start, end) {
    const [best] = covering.sort((a, b) => order(a.span) - order(b.span));
    const classes = [best.span.rank === 0 ? "is-best" : "is-further"];
    if (best.span.isSentence) classes[0] = "is-sentence";
    if (best.span.isUnlikely) classes[0] = "is-unlikely";
    if (best.start === start) classes.push("begins");
    if (best.end === end) classes.push("ends");
    const mark = element("mark", { className: classes.join(" ") }, text);
    this.#spansOfMark.set(mark, covering.map(({ span }) => span));
    return mark;
  }
}

/** Spans with a lower number go first where several are marked. */
const order = ({ rank, isUnlikely }) => rank + (isUnlikely ? UNLIKELY_RANK : 0);
