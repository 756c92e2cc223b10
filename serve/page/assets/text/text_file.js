// Read a file that was dropped or chosen.

/** Return the text of a file, or throw an Error whose message says what to do. limitBytes: null if there is none. */
export async function readTextFile(file, limitBytes) {
  if (limitBytes !== null && file.size > limitBytes) {
    const limit = Math.floor(limitBytes / 2 ** 20);
    throw new Error(`“${file.name}” is larger than the ${limit} MiB that this server accepts. Open a part of it.`);
  }
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    if (!(error instanceof TypeError)) throw new Error(`“${file.name}” cannot be read. Open it again.`);
    text = "\0";
  }
  if (text.includes("\0")) {
    throw new Error(`“${file.name}” is not plain text in UTF-8. Copy its text, and paste it here.`);
  }
  return text;
}
