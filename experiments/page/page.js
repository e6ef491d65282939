// The page: what it says is read from the block of data, or fetched anew while a sweep runs.

const EVERY = 2500; // milliseconds between two looks at a sweep

/** Show a section with what is in it; hide it where there is nothing. */
function fill(id, selector, nodes) {
  const section = byId(id);
  (selector ? section.querySelector(selector) : section).replaceChildren(...nodes);
  section.hidden = nodes.length === 0;
}

/** A picture on a white card, with its words. */
function makePicture({ title, caption, source }) {
  const image = element("img", { src: source, alt: visible(caption) });
  const words = element("figcaption", {}, [said("strong", title), " ", said("span", caption)]);
  return element("figure", {}, [element("div", { class: "card" }, [image]), words]);
}

/** What was set. */
function makeConfiguration(found) {
  const parts = [];
  if (found.command) {
    parts.push(element("p", {}, ["Arms of these names and doses are run by the command below; what else is set stands in the tables."]));
    parts.push(said("pre", found.command, { tabindex: "0" }));
  }
  parts.push(makeTable(found.differing));
  const more = element("details", {}, [element("summary", {}, [`What is the same wherever it is read (${count(found.shared.length, "setting")}), and the judge`])]);
  more.append(makeList("The same wherever it is read", found.shared), makeList("Judge", found.judge));
  return [...parts, more];
}

let up = ""; // the page of all sweeps, where there is one

/** Everything but the answers. */
function showContents(page) {
  document.title = visible(page.name);
  byId("name").replaceChildren();
  write(byId("name"), page.name);
  byId("kind").textContent = page.kind ?? "Comparison of safeguards";
  if (up) byId("kind").append(" · ", element("a", { href: up }, ["all sweeps"]));
  fill("story", "", page.story ? [said("p", page.story)] : []);
  fill("warnings", "ul", (page.warnings ?? []).map((warning) => said("li", warning)));
  fill("pictures", ".pictures", (page.pictures ?? []).map(makePicture));
  fill("tables", ".tables", (page.tables ?? []).map((table) => makeTable(table)));
  fill("configuration", ".configuration", page.configuration ? makeConfiguration(page.configuration) : []);
  byId("answers").hidden = !page.rows;
  byId("foot").textContent = page.configuration ? `Made from records by em-safeguards ${visible(page.configuration.version)}. Nothing is loaded from anywhere.` : "";
  showNavigation();
}

/** Links to what there is. */
function showNavigation() {
  const links = [...document.querySelectorAll("main > section")].filter((section) => !section.hidden && section.querySelector("h2"));
  byId("contents").hidden = links.length < 2;
  byId("contents").replaceChildren(...(links.length > 1 ? links : []).map((section) =>
    element("a", { href: "#" + section.id }, [section.querySelector("h2").textContent])));
}

/** Unpack and show answers once the browser has time: tables are there before. */
function showPacked(packed) {
  if (!packed) return;
  const notice = byId("answers-notice");
  notice.hidden = false;
  notice.textContent = "Unpacks the answers …";
  setTimeout(async () => {
    try {
      showAnswers(await unpack(packed));
      if (location.hash.startsWith("#answers")) byId("answers").scrollIntoView({ behavior: "instant" });
    } catch (error) {
      notice.textContent = `The answers cannot be shown: ${visible(error)}. A browser of 2023 or later can.`;
    }
  });
}

/** Ask the viewer how a sweep stands, again and again; fetch its contents when they are new. */
function follow(live) {
  let version = "";
  const line = byId("live-line");
  byId("live").hidden = false;
  async function look() {
    try {
      const state = await (await fetch(live.state)).json();
      byId("live").dataset.state = state.running ? "runs" : "rests";
      const said = visible(state.line);
      if (line.textContent !== said) line.textContent = said;
      byId("failures").replaceChildren(...state.failures.map((failure) => write(element("li", { dir: "auto" }), failure)));
      byId("failures").hidden = state.failures.length === 0;
      if (state.version && state.version !== version) {
        const { page, answers, version: fetched } = await (await fetch(live.contents)).json();
        version = fetched;
        if (page) showContents(page);
        showPacked(answers);
      }
    } catch (error) {
      byId("live").dataset.state = "gone";
      line.textContent = "The viewer does not answer any more; this is how it last was.";
    }
    setTimeout(look, document.hidden ? 4 * EVERY : EVERY);
  }
  look();
}

/** Paper shows what is folded on the screen. */
function unfold() {
  for (const details of document.querySelectorAll("details")) details.open = true;
}

listen();
addEventListener("beforeprint", unfold);
const page = JSON.parse(byId("page-data").textContent);
up = page.live?.up;
showContents(page);
showPacked(byId("answers-data").textContent.trim());
if (page.live) follow(page.live);
