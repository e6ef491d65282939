// Tables that sort: by numbers where cells begin with one, empty cells last, equal ones as they were.

const sorted = new Map(); // by title: the heading and the direction, which stay when a table is made anew

/** The number with which a cell begins; NaN if it begins with none. */
function leading(cell) {
  const match = /^[−+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?/.exec(cell);
  return /\d/.test(match[0]) ? Number(match[0].replace("−", "-").replaceAll(",", "")) : NaN;
}

/** The order of two cells that are not empty: numbers first, then words. */
function compare(one, other) {
  const [a, b] = [leading(one), leading(other)];
  if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return Number.isNaN(a) ? one.localeCompare(other, "en", { numeric: true }) : a - b;
}

/** The rows in an order. */
function inOrder(rows, { column, direction }) {
  if (direction === "none") return rows;
  const sign = direction === "ascending" ? 1 : -1;
  return [...rows].sort((one, other) => {
    const [a, b] = [one[column], other[column]];
    if (!a || !b) return Number(!a) - Number(!b);
    return sign * compare(a, b);
  });
}

const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
const VERDICTS = { prevents: "good", kept: "good", lost: "bad", "only slows": "poor", "not shown": "poor" };

/** A cell: a number apart from its interval, and a verdict in its colour. */
function cellOf(text, place, address) {
  const cell = element(place ? "td" : "th", place ? { class: text.length > 20 && !text.includes("[") ? "long" : null } : { scope: "row" });
  const match = /^([^\s[]+) (\[[^\]]*\])(.*)$/s.exec(text);
  const verdict = Object.keys(VERDICTS).find((each) => text === each || text.endsWith("] " + each));
  if (address) return cell.append(said("a", text, { href: address })), cell;
  if (!match) {
    cell.append(said(verdict ? "span" : "bdi", text, verdict ? { class: "verdict " + VERDICTS[verdict] } : {}));
    return cell;
  }
  const rest = verdict ? match[3].slice(0, -verdict.length) : match[3];
  cell.append(said("bdi", match[1]), " ", said("span", match[2], { class: "interval" }));
  if (rest) cell.append(said("bdi", rest));
  if (verdict) cell.append(element("span", { class: "verdict " + VERDICTS[verdict] }, [verdict]));
  return cell;
}

/** A table of { title, caption, headings, rows }; `links` are addresses of the rows, where they have some. */
function makeTable(table, level = "h3") {
  const before = sorted.get(table.title);
  const known = before ? table.headings.indexOf(before.heading) : -1;
  const state = { column: Math.max(known, 0), direction: known < 0 ? "none" : before.direction };
  const rows = table.rows.map((cells, place) => Object.assign([...cells], { link: table.links?.[place] }));
  const numeric = table.headings.map((_, column) => rows.some((row) => !Number.isNaN(leading(row[column]))));
  const body = element("tbody");
  const heads = table.headings.map((heading, column) => {
    const button = said("button", heading.replace(/ %$/, "\u00A0%"), { type: "button" });
    const head = element("th", { scope: "col", class: numeric[column] && column ? "number" : null }, [button]);
    button.addEventListener("click", () => {
      state.direction = state.column === column ? NEXT[state.direction] : "ascending";
      state.column = column;
      sorted.set(table.title, { heading, direction: state.direction });
      show();
    });
    return head;
  });
  function show() {
    heads.forEach((head, column) => head.setAttribute("aria-sort", column === state.column ? state.direction : "none"));
    body.replaceChildren(...inOrder(rows, state).map((row) => {
      const cells = row.map((text, place) => cellOf(text, place, place ? "" : row.link));
      cells.forEach((cell, place) => place && numeric[place] && cell.classList.add("number"));
      return element("tr", {}, cells);
    }));
  }
  show();
  const grid = element("table", {}, [element("thead", {}, [element("tr", {}, heads)]), body]);
  const box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": visible(table.title) }, [grid]);
  const title = said(level, table.title);
  return element("article", { class: "table" }, [title, box, ...(table.caption ? [said("p", table.caption, { class: "caption" })] : [])]);
}

/** A table of names and values. */
function makeList(title, pairs, level = "h3") {
  const rows = pairs.map(([name, value]) => element("tr", {}, [said("th", name, { scope: "row" }), said("td", value)]));
  const grid = element("table", { class: "pairs" }, [element("tbody", {}, rows)]);
  const box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": visible(title) }, [grid]);
  return element("article", { class: "table" }, [said(level, title), box]);
}
