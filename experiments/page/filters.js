// The filters of the answers: a state, kept in the address after "#answers?", so that it can be passed on.

const FIRST = 4; // rows that are beside each other at first
const CHOICES = ["task", "seed", "world", "set", "outcome", "order"];
const view = { data: null, state: null, found: null };

/** The state in which nothing is filtered. */
function cleared(data) {
  return { rows: data.rows.slice(0, FIRST), search: "", others: false, page: 0, ...Object.fromEntries(CHOICES.map((key) => [key, ""])) };
}

/** The state that an address has; what it names and these answers do not have is left out. */
function fromAddress(data, hash) {
  const state = cleared(data);
  if (!hash.startsWith("#answers?")) return state;
  const given = new URLSearchParams(hash.slice("#answers?".length));
  const rows = given.getAll("row").filter((row) => data.rows.includes(row));
  if (rows.length) state.rows = data.rows.filter((row) => rows.includes(row));
  for (const key of CHOICES) {
    const known = [...byId("filters").elements[key].options].map((option) => option.value);
    if (known.includes(given.get(key))) state[key] = given.get(key);
  }
  state.search = given.get("search") ?? "";
  state.others = given.get("others") === "1";
  state.page = Math.max(0, Math.floor(Number(given.get("page")) || 1) - 1);
  return state;
}

/** The address of a state; nothing for one in which nothing is filtered. */
function toAddress(data, state) {
  const plain = cleared(data);
  const told = new URLSearchParams();
  if (state.rows.join("\n") !== plain.rows.join("\n")) for (const row of state.rows) told.append("row", row);
  for (const key of ["search", ...CHOICES]) if (state[key]) told.set(key, state[key]);
  if (state.others) told.set("others", "1");
  if (state.page) told.set("page", String(state.page + 1));
  const text = told.toString();
  return text ? "#answers?" + text : "";
}

/** What can be chosen, with what was chosen before. */
function fillFilters(data) {
  const form = byId("filters");
  const values = {
    task: data.arms.map((arm) => arm.task),
    seed: data.arms.map((arm) => arm.seed).sort((a, b) => a - b),
    world: data.arms.map((arm) => arm.world).filter(Boolean),
    set: data.sets,
    outcome: data.outcomes.filter((_, place) => data.columns.outcome.includes(place)),
  };
  for (const [key, all] of Object.entries(values)) {
    const select = form.elements[key];
    const options = [...new Set(all.map(String))].map((value) => new Option(visible(key === "set" ? words(value) : value), value));
    select.replaceChildren(new Option("all", ""), ...options);
    select.closest(".field").hidden = options.length < 2;
  }
  byId("chips").replaceChildren(...data.rows.map((row) => {
    const box = element("input", { type: "checkbox", name: "row" });
    box.value = row;
    return element("label", { class: "chip" }, [box, said("span", row)]);
  }));
  byId("first").hidden = data.rows.length <= FIRST;
  form.hidden = false;
}

/** Set the form as the state is. */
function showState(state) {
  const form = byId("filters");
  for (const key of ["search", ...CHOICES]) form.elements[key].value = state[key];
  form.elements.others.checked = state.others;
  for (const box of form.querySelectorAll("[name=row]")) box.checked = state.rows.includes(box.value);
}

/** The state as the form is. */
function readForm(data) {
  const form = byId("filters");
  const boxes = [...form.querySelectorAll("[name=row]")];
  const state = { rows: data.rows.filter((_, place) => boxes[place].checked), others: form.elements.others.checked, page: 0 };
  for (const key of ["search", ...CHOICES]) state[key] = form.elements[key].value;
  return state;
}

/** Find and show what a state asks for. */
function apply(state, remember = true) {
  view.state = state;
  view.found = find(view.data, state);
  showPage();
  if (remember) rememberState();
}

/** Put the state into the address, and nothing into the history. */
function rememberState() {
  const address = toAddress(view.data, view.state);
  history.replaceState(null, "", address || location.pathname + location.search);
}

/** The questions of the page that is chosen. */
function showPage() {
  const { data, state, found } = view;
  const last = Math.max(0, Math.ceil(found.questions.length / QUESTIONS) - 1);
  state.page = Math.min(state.page, last);
  const from = state.page * QUESTIONS;
  const shown = found.questions.slice(from, from + QUESTIONS);
  byId("questions").replaceChildren(...shown.map((each) => makeQuestion(data, state, each)));
  byId("found").textContent = told(state, found);
  byId("pager").hidden = last === 0;
  byId("place").textContent = `Questions ${from + 1} to ${from + shown.length} of ${found.questions.length.toLocaleString("en")}`;
  byId("before").disabled = state.page === 0;
  byId("after").disabled = state.page === last;
}

/** How much is found, and of what: this stands on paper, too, where the filters do not. */
function told(state, found) {
  if (!state.rows.length) return "No safeguard is chosen.";
  const filters = ["task", "seed", "world", "set", "outcome"].filter((key) => state[key]).map((key) => `${key === "set" ? "probe set" : key} ${words(state[key])}`);
  if (state.search) filters.push(`with “${state.search}”`);
  const of = filters.length ? `; ${filters.join(", ")}` : "";
  return visible(`${count(found.total, "answer")} to ${count(found.questions.length, "question")}${of}.`);
}

/** Turn to another page of questions. */
function turn(pages) {
  view.state.page += pages;
  showPage();
  rememberState();
  byId("found").scrollIntoView({ behavior: "instant" });
  byId(view.state.page && !byId("after").disabled ? "after" : "before").focus({ preventScroll: true });
}

/** Listen to the filters, once. */
function listen() {
  const form = byId("filters");
  let waiting = 0;
  const changed = (delay) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => view.data && apply(readForm(view.data)), delay);
  };
  form.addEventListener("input", (event) => changed(event.target.type === "search" ? 150 : 0));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    choose(cleared(view.data));
  });
  byId("every").addEventListener("click", () => choose({ ...readForm(view.data), rows: view.data.rows }));
  byId("first").addEventListener("click", () => choose({ ...readForm(view.data), rows: view.data.rows.slice(0, FIRST) }));
  byId("before").addEventListener("click", () => turn(-1));
  byId("after").addEventListener("click", () => turn(1));
  addEventListener("hashchange", () => {
    if (view.data && location.hash.startsWith("#answers?")) choose(fromAddress(view.data, location.hash));
  });
}

/** Make a state that of the form and of what is shown. */
function choose(state) {
  showState(state);
  apply(state);
}

/** Show answers that have come, in the state in which the filters are, or that the address has. */
function showAnswers(data) {
  const asked = view.data ? toAddress(view.data, view.state) : location.hash;
  view.data = data;
  fillFilters(data);
  const state = fromAddress(data, asked);
  showState(state);
  apply(state, false);
  byId("answers-notice").hidden = true;
}
