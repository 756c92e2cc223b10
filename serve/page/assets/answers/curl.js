// The request as a command for a terminal.

const LONGEST_ARGUMENT = 100_000; // Linux accepts 128 KiB in one argument

/** Return a curl command that sends a request body as JSON, for sh, bash and zsh. */
export function curlCommand(url, body) {
  // In JSON, \u0027 is the single quote, and \u0021 the exclamation mark, with which a shell repeats earlier commands.
  const json = JSON.stringify(body).replaceAll("'", "\\u0027").replaceAll("!", "\\u0021");
  const command = `curl -s '${url.replaceAll("'", "%27")}' -H 'Content-Type: application/json'`;
  if (json.length < LONGEST_ARGUMENT / 3) return `${command} -d '${json}'`; // a UTF-16 unit has at most 3 bytes
  return `${command} --data-binary @- <<'END'\n${json}\nEND`;
}

/** Copy a text. Return whether it worked. Browsers offer their clipboard only over HTTPS and on this machine itself. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isCopied;
}
