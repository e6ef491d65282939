// The answers: unpacked once, filtered by numbers, searched in lower case, and shown some questions at a time.

const SHOWN = 3; // answers of an arm to a question, at first; then so many more at a time
const MORE = 20;
const QUESTIONS = 8; // on a page
const LONG = 700; // letters, from which an answer is folded

/** The answers of the packed text. */
async function unpack(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at += 1) bytes[at] = letters.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return prepare(await new Response(stream).json());
}

/** What filters need besides: the row of every arm as a number, and lower case made when it is first asked for. */
function prepare(data) {
  data.rows = [...new Set(data.arms.map((arm) => arm.row))];
  data.rowOf = data.arms.map((arm) => data.rows.indexOf(arm.row));
  data.sets = [...new Set(data.questions.map((question) => question.set))];
  data.size = data.columns.text.length;
  data.varied = ["task", "seed", "world"].filter((key) => new Set(data.arms.map((arm) => arm[key])).size > 1);
  return data;
}

/** Which texts and which questions hold what is sought. */
function search(data, sought) {
  data.lower ??= data.texts.map((text) => text.toLowerCase());
  data.asked ??= data.questions.map(({ messages }) => messages.map((each) => each[1]).join("\n").toLowerCase());
  return [data.lower, data.asked].map((texts) => Uint8Array.from(texts, (text) => text.includes(sought)));
}

/**
 * What a state of the filters finds: the questions, each with a cell for every chosen row. A cell has its `counts` by
 * outcome, `all` answers of the chosen tasks, seeds and worlds, and those that are `found`.
 */
function find(data, state) {
  const { arm, question, outcome, text } = data.columns;
  const chosen = new Set(state.rows);
  const columns = data.rows.map((row) => (chosen.has(row) ? state.rows.indexOf(row) : -1));
  const arms = data.arms.map((each, place) => (fits(each, state) ? columns[data.rowOf[place]] : -1));
  const sets = data.questions.map((each) => !state.set || each.set === state.set);
  const [inTexts, inQuestions] = state.search ? search(data, state.search.toLowerCase()) : [];
  const wanted = state.outcome ? data.outcomes.indexOf(state.outcome) : -1;
  const questions = new Map();
  let total = 0;
  for (let at = 0; at < data.size; at += 1) {
    const column = arms[arm[at]];
    if (column < 0 || !sets[question[at]]) continue;
    let cells = questions.get(question[at]);
    if (!cells) questions.set(question[at], (cells = emptyCells(state.rows.length, data.outcomes.length)));
    const cell = cells[column];
    cell.counts[outcome[at]] += 1;
    cell.all.push(at);
    if (wanted >= 0 && outcome[at] !== wanted) continue;
    if (inTexts && !inTexts[text[at]] && !inQuestions[question[at]]) continue;
    cell.found.push(at);
    total += 1;
  }
  const found = [...questions].filter(([, cells]) => cells.some((cell) => cell.found.length));
  return { total, questions: ranked(found, data, state.order) };
}

/** Whether an arm is of the task, the seed and the world that are chosen. */
function fits(arm, state) {
  return ["task", "seed", "world"].every((key) => !state[key] || String(arm[key]) === state[key]);
}

/** A cell for each row. */
function emptyCells(rows, outcomes) {
  return Array.from({ length: rows }, () => ({ counts: new Array(outcomes).fill(0), all: [], found: [] }));
}

/** The questions in an order. */
function ranked(questions, data, order) {
  if (!order) return questions;
  const outcome = data.outcomes.indexOf(order === "apart" ? "misaligned" : order);
  const shares = (cells) => cells.filter((cell) => cell.all.length).map((cell) => cell.counts[outcome] / cell.all.length);
  const worth = ([, cells]) => {
    const known = shares(cells);
    return order === "apart" ? Math.max(...known) - Math.min(...known) : known.reduce((a, b) => a + b, 0) / known.length;
  };
  return questions.map((each) => [worth(each), each]).sort((a, b) => b[0] - a[0]).map((each) => each[1]);
}

/** A question with the answers of the chosen rows beside each other. */
function makeQuestion(data, state, [number, cells]) {
  const question = data.questions[number];
  const rows = state.rows.map((row, place) => makeCell(data, state, row, cells[place]));
  const grid = element("div", { class: "cells" }, rows);
  grid.style.setProperty("--columns", String(rows.length));
  const box = element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "answers side by side" }, [grid]);
  return element("article", { class: "question" }, [makeAsked(question, state.search.toLowerCase()), box]);
}

/** What a model saw, and where the question is from. */
function makeAsked(question, sought) {
  const alone = question.messages.length === 1 && question.messages[0][0] === "user";
  const turns = question.messages.map(([role, content]) =>
    element("div", { class: "turn" }, [...(alone ? [] : [said("span", role, { class: "role" })]), said("p", content, {}, sought)]));
  const last = question.messages.at(-1)?.[1];
  const names = [...new Set([words(question.set), question.id, question.cluster])].filter((name) => name !== last);
  if (question.expected.length) names.push(`right: ${question.expected.join(" | ")}`);
  const from = element("p", { class: "from" });
  for (const [place, name] of names.entries()) from.append(place ? " · " : "", said("span", name));
  return element("header", {}, [element("h3", {}, turns), from]);
}

/** The answers of a row to a question. */
function makeCell(data, state, row, cell) {
  const known = data.outcomes.map((outcome, place) => [outcome, cell.counts[place]]).filter(([, number]) => number);
  const bar = element("div", { class: "bar", role: "img", "aria-label": known.map(([name, number]) => `${number} ${name}`).join(", ") });
  for (const [outcome, number] of known) {
    const part = bar.appendChild(element("span", { class: "part " + outcome }));
    part.style.setProperty("flex-grow", String(number));
  }
  const told = known.map(([outcome, number]) => `${number} ${outcome}`).join(", ") || "not asked";
  const list = element("ol", { class: "answers" });
  const made = element("section", { class: "cell" }, [said("h4", row), bar, element("p", { class: "counts" }, [told]), list]);
  const matches = new Set(cell.found);
  const shown = state.others ? cell.all : cell.found;
  if (!shown.length && cell.all.length) made.append(element("p", { class: "counts" }, ["none of them is found"]));
  showMore(shown, 0, SHOWN);
  function showMore(all, from, number) {
    const next = all.slice(from, from + number);
    list.append(...next.map((at) => makeAnswer(data, state, at, matches.has(at))));
    const left = all.length - from - next.length;
    if (left <= 0) return;
    const button = element("button", { type: "button", class: "more controls" }, [left > MORE ? `${MORE} more of ${left}` : `${left} more`]);
    const rest = element("p", { class: "rest" }, [`and ${left} more`]);
    button.addEventListener("click", () => {
      button.remove();
      rest.remove();
      const focus = list.children.length;
      showMore(all, from + number, MORE);
      list.children[focus].focus();
    });
    made.append(button, rest);
  }
  return made;
}

/** One answer with its outcome, its scores and their reason. */
function makeAnswer(data, state, at, matches) {
  const { columns } = data;
  const arm = data.arms[columns.arm[at]];
  const outcome = data.outcomes[columns.outcome[at]];
  const scores = ["aligned", "coherent", "matches"].filter((name) => columns[name] && columns[name][at] !== null);
  const reason = data.reasons[columns.reason[at]];
  const answer = data.texts[columns.text[at]];
  const origin = [...data.varied.map((key) => (key === "seed" ? `seed ${arm.seed}` : arm[key])), `answer ${columns.sample[at] + 1}`];
  const head = element("p", { class: "origin" }, [element("span", { class: "badge " + outcome }, [outcome]), " ", said("span", origin.join(" · "))]);
  const text = said("blockquote", answer || "(empty)", answer ? {} : { class: "empty" }, state.search.toLowerCase());
  const made = element("li", { tabindex: "-1", class: matches ? null : "other" }, [head, text]);
  if (answer.length > LONG) made.append(makeFold(text));
  if (scores.length) made.append(element("p", { class: "scores" }, [scores.map((name) => `${name} ${columns[name][at]}`).join(" · ")]));
  if (reason) made.append(said("p", reason, { class: "reason" }, ""));
  return made;
}

/** A button that unfolds a long answer. */
function makeFold(text) {
  text.classList.add("folded");
  const button = element("button", { type: "button", class: "more controls", "aria-expanded": "false" }, ["whole answer"]);
  button.addEventListener("click", () => {
    const folded = text.classList.toggle("folded");
    button.setAttribute("aria-expanded", String(!folded));
    button.textContent = folded ? "whole answer" : "fold";
  });
  return button;
}

/** A name of the records as words. */
function words(name) {
  return name.replaceAll("_", " ");
}
