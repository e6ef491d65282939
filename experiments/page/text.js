// Text as what it is. Data become text nodes and nothing else; what cannot be seen, or would turn the writing around
// it, is shown as its code, as in the terminal.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
// Joiners belong to emoji and to scripts whose letters join; selectors choose the look of what stands before them.
const JOINED = /[\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]/u;

/** Whether a character may stand as it is after the text before it. */
function stands(character, before) {
  if (character === "\n" || character === "\t") return true;
  if (character === "\uFE0E" || character === "\uFE0F") return before !== "";
  if (character !== "\u200C" && character !== "\u200D") return false;
  const last = Array.from(before.slice(-2)).at(-1) ?? ""; // a whole character, of one or two units
  return last > "\x7F" && JOINED.test(last);
}

/** How Python writes a character that cannot be printed. */
function code(character) {
  const number = character.codePointAt(0);
  const digits = number.toString(16);
  if (number < 0x100) return "\\x" + digits.padStart(2, "0");
  return number < 0x10000 ? "\\u" + digits.padStart(4, "0") : "\\U" + digits.padStart(8, "0");
}

/** The pieces of a text: what is seen as it is, and codes of what is not. */
function pieces(text) {
  const found = [];
  let done = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (stands(match[0], text.slice(0, match.index))) continue;
    if (match.index > done) found.push({ text: text.slice(done, match.index) });
    found.push({ text: code(match[0]), hidden: true });
    done = match.index + match[0].length;
  }
  if (done < text.length) found.push({ text: text.slice(done) });
  return found;
}

/** A text for where only plain text can be, such as an option or a description. */
function visible(text) {
  return pieces(String(text)).map((piece) => piece.text).join("");
}

/** Add a text to a node, with the places of a search marked. */
function write(node, text, sought = "") {
  for (const [place, part] of split(String(text), sought).entries()) {
    const target = place % 2 ? node.appendChild(document.createElement("mark")) : node;
    for (const piece of pieces(part)) target.append(piece.hidden ? element("span", { class: "code" }, [piece.text]) : piece.text);
  }
  return node;
}

/** A text cut at what is sought: every second part is such a place. */
function split(text, sought) {
  const lower = text.toLowerCase();
  if (!sought || lower.length !== text.length) return [text];
  const parts = [];
  let done = 0;
  for (let at = lower.indexOf(sought); at >= 0; at = lower.indexOf(sought, done)) {
    parts.push(text.slice(done, at), text.slice(at, at + sought.length));
    done = at + sought.length;
  }
  return [...parts, text.slice(done)];
}

/** An element with attributes, and children: nodes, or text that is ours. What users wrote goes through `write`. */
function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** An element that holds a text of users, set apart from the direction of what is around it. */
function said(tag, text, attributes = {}, sought = "") {
  return write(element(tag, { dir: "auto", ...attributes }), text, sought);
}

/** The element of this id. */
function byId(id) {
  return document.getElementById(id);
}

/** A number with its noun. */
function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
