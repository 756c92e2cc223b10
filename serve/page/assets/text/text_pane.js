// The text: typed, pasted, dropped, opened or taken from an example; edited in a text area, read with highlighted answers.

import { count } from "../answers/units.js";
import { byId, showMessage } from "../dom.js";
import { pointsIn } from "./blocks.js";
import { ReadingView } from "./reading_view.js";
import { readTextFile } from "./text_file.js";
import { installTip } from "./tip.js";

export class TextPane {
  #area = byId("text");
  #reading = byId("reading");
  #edit = byId("edit");
  #error = byId("text-error");
  #shown = null; // the text in the reading view
  #onChange;
  #limits = { max_characters: Infinity, max_payload_mb: null };

  /** onChange: called when there is another text. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.view = new ReadingView(this.#reading);
    installTip(this.#reading, this.view, byId("tip"));
    this.#area.addEventListener("input", () => this.#changed());
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
    const text = this.#area.value;
    return text.toWellFormed?.() ?? text; // half of a surrogate pair cannot be sent
  }

  /** Take another text, and show it for reading. */
  set(text) {
    this.#area.value = text;
    this.#changed();
    this.read();
  }

  read() {
    const text = this.text;
    if (text !== this.#shown) {
      this.view.setText(text);
      this.#shown = text;
    }
    this.#toggle(true);
  }

  edit() {
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
    const text = this.text;
    if (text.trim() === "") return "There is no text yet. Paste one, drop a file, or choose an example.";
    const characters = pointsIn(text);
    if (characters > most) {
      return `The text has ${count(characters)} characters. This server accepts ${count(most)}. Shorten it.`;
    }
    if (mebibytes !== null && new Blob([text]).size > mebibytes * 2 ** 20) {
      return `The text is larger than the ${count(mebibytes)} MiB that this server accepts. Shorten it.`;
    }
    return "";
  }

  #changed() {
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
    const characters = pointsIn(this.#area.value);
    byId("text-size").textContent = characters === 1 ? "1 character" : `${count(characters)} characters`;
  }

  #installPaste() {
    this.#reading.addEventListener("paste", (event) => {
      event.preventDefault();
      const text = event.clipboardData.getData("text/plain");
      if (text !== "") this.set(text);
    });
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
