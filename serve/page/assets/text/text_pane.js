// The text: typed, pasted, dropped, opened or taken from an example; edited in a text area, read with highlighted answers.

import { count } from "../answers/units.js";
import { byId, showMessage } from "../dom.js";
import { pointsIn } from "./blocks.js";
import { ReadingView } from "./reading_view.js";
import { readTextFile } from "./text_file.js";
import { installTip } from "./tip.js";

const LONG_PASTE = 50_000; // UTF-16 units; a text area lays out all of its text, which takes seconds for a long one

export class TextPane {
  #area = byId("text");
  #reading = byId("reading");
  #edit = byId("edit");
  #error = byId("text-error");
  #text = "";
  #shown = null; // the text in the reading view
  #onChange;
  #limits = { max_characters: Infinity, max_payload_mb: null };

  /** onChange: called when there is another text. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.view = new ReadingView(this.#reading);
    installTip(this.#reading, this.view, byId("tip"));
    this.#area.addEventListener("input", () => this.#changed(this.#area.value));
    this.#edit.addEventListener("click", () => this.edit());
    this.#installPaste();
    this.#installFiles();
    this.#showSize();
  }

  /** limits: those of /info. */
  set limits(limits) {
    this.#limits = limits;
  }

  get text() {
    return this.#text;
  }

  /** Take another text, and show it for reading. */
  set(text) {
    this.#toggle(true); // first, because a visible text area would lay out the whole text
    this.#changed(text.replaceAll("\r\n", "\n"));
    this.read();
  }

  read() {
    if (this.#text !== this.#shown) this.view.setText(this.#text);
    this.#shown = this.#text;
    this.#toggle(true);
  }

  edit() {
    this.#area.value = this.#text;
    this.#toggle(false);
    this.#area.focus();
  }

  /** Say what is wrong with the text. Return whether it can be asked about. */
  check() {
    const problem = this.#problem();
    showMessage(this.#error, problem);
    this.#area.setAttribute("aria-invalid", String(problem !== ""));
    if (problem !== "") this.edit();
    return problem === "";
  }

  #problem() {
    const { max_characters: most, max_payload_mb: mebibytes } = this.#limits;
    if (this.#text.trim() === "") return "There is no text yet. Paste one, drop a file, or choose an example.";
    const characters = pointsIn(this.#text);
    if (characters > most) {
      return `The text has ${count(characters)} characters. This server accepts ${count(most)}. Shorten it.`;
    }
    if (mebibytes !== null && new Blob([this.#text]).size > mebibytes * 2 ** 20) {
      return `The text is larger than the ${count(mebibytes)} MiB that this server accepts. Shorten it.`;
    }
    return "";
  }

  #changed(text) {
    this.#text = text.toWellFormed?.() ?? text; // half of a surrogate pair cannot be sent
    this.view.show([]);
    showMessage(this.#error, "");
    this.#area.removeAttribute("aria-invalid");
    this.#showSize();
    this.#onChange();
  }

  #toggle(isReading) {
    this.#area.hidden = isReading;
    this.#reading.hidden = !isReading;
    this.#edit.hidden = !isReading;
  }

  #showSize() {
    const characters = pointsIn(this.#text);
    byId("text-size").textContent = characters === 1 ? "1 character" : `${count(characters)} characters`;
  }

  /** A text that is pasted into the reading view, or a long one into the empty text area, is shown for reading. */
  #installPaste() {
    for (const target of [this.#reading, this.#area]) {
      target.addEventListener("paste", (event) => {
        const text = event.clipboardData.getData("text/plain");
        const isForReading = target === this.#reading || (this.#text === "" && text.length > LONG_PASTE);
        if (!isForReading || text === "") return;
        event.preventDefault();
        this.set(text);
        this.#reading.focus();
      });
    }
  }

  #installFiles() {
    const input = byId("file");
    const pane = byId("text-pane");
    byId("choose-file").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files.length > 0) this.#open(input.files[0]);
      input.value = ""; // so that the same file can be opened again
    });
    const isForUs = ({ dataTransfer, target }) =>
      dataTransfer.types.includes("Files") || (dataTransfer.types.includes("text/plain") && this.#reading.contains(target));
    document.addEventListener("dragover", (event) => {
      if (!isForUs(event)) return;
      event.preventDefault();
      pane.classList.add("is-target");
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) pane.classList.remove("is-target");
    });
    document.addEventListener("drop", (event) => {
      pane.classList.remove("is-target");
      if (!isForUs(event)) return;
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) this.#open(file);
      else this.set(event.dataTransfer.getData("text/plain"));
    });
  }

  async #open(file) {
    const { max_payload_mb: mebibytes } = this.#limits;
    try {
      this.set(await readTextFile(file, mebibytes === null ? null : mebibytes * 2 ** 20));
    } catch (error) {
      showMessage(this.#error, error.message);
    }
  }
}
