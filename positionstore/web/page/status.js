"use strict";
// Draws the state that the page came with, and each one that follows. Text goes into text nodes only, so
// that nothing that came over the wire is ever markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const DAY = 86_400_000;
  const STRIP_DAYS = 30;
  let chosenGap = "";
  let drawn = {};

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }
  function shape(tag, attributes = {}, text = null) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== null) made.textContent = text;
    return made;
  }
  const number = (value) => (value === null || value === undefined ? "" : Number(value).toLocaleString("en"));
  const moment = (iso) => (iso ? iso.slice(0, 19).replace("T", " ") : "");
  function span(seconds) {
    if (seconds < 0) seconds = 0;
    if (seconds < 120) return `${Math.round(seconds)} s`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86_400)} days`;
  }
  const ago = (iso, now) => (iso ? `${span((now - Date.parse(iso)) / 1000)} ago` : "never");
  function bytes(count) {
    for (const unit of ["bytes", "kB", "MB", "GB"]) {
      if (count < 1000 || unit === "GB") return unit === "bytes" ? `${count} ${unit}` : `${count.toFixed(1)} ${unit}`;
      count /= 1000;
    }
  }
  function once(id, what, draw) {
    // What has not changed is left as it is: focus and selection stay where they are.
    const key = JSON.stringify(what);
    if (drawn[id] === key) return;
    drawn[id] = key;
    draw(byId(id));
  }
  function list(id, rows) {
    once(id, rows, (target) =>
      target.replaceChildren(...rows.flatMap(([name, value, kind]) => [
        element("dt", {}, name), element("dd", kind ? { class: kind } : {}, String(value)),
      ])));
  }
  function table(id, columns, rows, empty) {
    once(id, rows, (target) => {
      if (rows.length === 0) {
        target.replaceChildren(element("tbody", {}, element("tr", {}, element("td", { class: "empty" }, empty))));
        return;
      }
      const head = element("tr", {}, ...columns.map(([name, kind]) => element("th", { scope: "col", class: kind || "" }, name)));
      const body = rows.map((cells) => element("tr", {}, ...cells.map((cell, place) => {
        const content = cell && cell.href ? element("a", { href: cell.href }, cell.text) : cell && cell.words ? cell.words : String(cell ?? "");
        const command = cell && cell.code ? [element("br"), element("code", {}, cell.code)] : [];
        return element("td", { class: columns[place][1] || "" }, content, ...command);
      })));
      target.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
    });
  }

  function duration(seconds) {
    return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
  }
  function prose(text) {
    // What stands in backticks is a command.
    return text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));
  }
  function drawVerdict(verdict) {
    once("verdict", verdict, (target) => {
      target.className = `card wide ${verdict.level}`;
      byId("verdict-line").textContent = verdict.line;
      byId("reasons").replaceChildren(...verdict.reasons.map((reason) => element("li", {}, ...prose(reason))));
    });
  }
  function drawConnection(state, now) {
    const live = state.live;
    const status = state.parts.status;
    const session = status && status.live_sessions[0];
    list("connection", [
      ["gateway", live.gateway],
      ["connected", live.connected ? (session ? `since ${moment(session.started_at)}` : "yes") : "no", live.connected ? "good" : "bad"],
      ["last packet", ago(live.last_packet_at, now)],
      ["last event", ago(live.last_event_at || (status && status.log.last_received_at), now)],
      ["connections", number(live.connections)],
      ["received", number(live.received)],
      ["duplicates", number(live.duplicates)],
      ["out of order", number(live.out_of_order)],
      ["recovered", number(live.recovered)],
      ["delay", status && status.lag.median !== null ? `median ${duration(status.lag.median)}, 95 % within ${duration(status.lag.p95)}` : ""],
    ]);
  }
  function drawStore(state) {
    const live = state.live;
    const status = state.parts.status;
    const phases = status ? status.positions_by_phase : {};
    list("store", [
      ["database", state.database.line, state.database.ok ? "good" : "bad"],
      ["environment", status ? status.environment || "none yet" : ""],
      ["facts, about", status ? number(status.log.events_estimate) : ""],
      ["newest seq", status ? number(status.log.last_seq) : ""],
      ["positions", status ? `${number(phases.live)} live, ${number(phases.pending)} pending, ${number(phases.terminal)} ended` : ""],
      ["in memory", `${number(live.in_memory)} inputs`],
      ["spool", `${number(live.spooled)} inputs, ${bytes(live.spool_bytes)} of ${bytes(live.spool_bound)}`, live.has_room ? "" : "bad"],
      ["log on disk", status ? bytes(status.sizes.events) : ""],
      ["positions on disk", status ? bytes(status.sizes.positions) : ""],
      ["database on disk", status ? bytes(status.sizes.database) : ""],
    ]);
  }
  function drawRate(rows, now) {
    const minute = Math.floor(now / 60_000);
    const counts = new Map(rows.map((row) => [Math.floor(Date.parse(row.minute) / 60_000), row.events]));
    const values = Array.from({ length: 60 }, (_, place) => counts.get(minute - 59 + place) || 0);
    once("rate", [minute, values], (target) => {
      const most = Math.max(1, ...values);
      const total = values.reduce((sum, value) => sum + value, 0);
      const picture = shape("svg", {
        viewBox: "0 0 660 112", preserveAspectRatio: "none", role: "img",
        "aria-label": `${number(total)} events in the last hour, ${number(most)} in the busiest minute, ${number(values[59])} in this one`,
      });
      values.forEach((value, place) => {
        const height = (value / most) * 110;
        const bar = shape("rect", { x: place * 11, y: 112 - height, width: 9, height });
        bar.append(shape("title", {}, `${new Date((minute - 59 + place) * 60_000).toISOString().slice(11, 16)}: ${number(value)}`));
        picture.append(bar);
      });
      target.replaceChildren(picture);
      byId("h-rate").textContent = `Events a minute, last hour (at most ${number(most)})`;
    });
  }
  const gapKind = (gap) => (gap.recovered_at ? "recovered" : gap.repaired_at ? "repaired" : "gap");
  function gapWords(gap, now) {
    const until = gap.ended_at ? Date.parse(gap.ended_at) : now;
    const length = span((until - Date.parse(gap.started_at)) / 1000);
    const became = gap.recovered_at ? `recovered by the gateway at ${moment(gap.recovered_at)}`
      : gap.repaired_at ? `repaired by run ${gap.repaired_by}, at ${moment(gap.repaired_at)}`
        : gap.ended_at ? "not repaired: positionstore backfill" : "open";
    return `${moment(gap.started_at)} to ${gap.ended_at ? moment(gap.ended_at) : "now"}, ${length}: ${became}.`;
  }
  function drawCoverage(coverage, now) {
    const day = Math.floor(now / 600_000); // moves on every ten minutes
    const end = (day + 1) * 600_000;
    const begin = end - STRIP_DAYS * DAY;
    const place = (time) => Math.max(0, Math.min(1000, ((time - begin) / (end - begin)) * 1000));
    once("coverage", [day, coverage], (target) => {
      const picture = shape("svg", { viewBox: "0 0 1000 48", preserveAspectRatio: "none", role: "group", "aria-label": "Coverage of the last 30 days" });
      const begins = coverage.begins ? place(Date.parse(coverage.begins)) : 1000;
      picture.append(shape("rect", { class: "before", x: 0, y: 4, width: begins, height: 32 }));
      picture.append(shape("rect", { class: "covered", x: begins, y: 4, width: 1000 - begins, height: 32 }));
      for (let back = 0; back <= STRIP_DAYS; back += 1) {
        picture.append(shape("rect", { class: "before", x: place(Math.floor(end / DAY) * DAY - back * DAY), y: 38, width: 1, height: 6 }));
      }
      [...coverage.gaps].reverse().forEach((gap) => {
        const from = place(Date.parse(gap.started_at));
        const to = place(gap.ended_at ? Date.parse(gap.ended_at) : now);
        const width = Math.max(4, to - from);
        const mark = shape("rect", {
          class: gapKind(gap), x: Math.min(from, 1000 - width), y: 2, width, height: 36,
          role: "button", tabindex: "0", "aria-label": gapWords(gap, now),
        });
        const choose = () => { chosenGap = gap.started_at; byId("gap-detail").textContent = gapWords(gap, Date.now()); };
        mark.addEventListener("click", choose);
        mark.addEventListener("keydown", (event) => {
          if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
        });
        picture.append(mark);
      });
      target.replaceChildren(picture);
      const shown = coverage.gaps.find((gap) => gap.started_at === chosenGap);
      byId("gap-detail").textContent = shown ? gapWords(shown, now)
        : coverage.gaps.length ? "Choose a gap to read about it." : "No gap in the last 30 days.";
    });
    table("gaps", [["from"], ["to"], ["what became of it"]],
      coverage.gaps.slice(0, 100).map((gap) => [moment(gap.started_at), gap.ended_at ? moment(gap.ended_at) : "open",
        gap.recovered_at ? "recovered by the gateway" : gap.repaired_at ? `repaired by run ${gap.repaired_by}` : "not repaired"]),
      "No gap in the last 30 days.");
  }
  function draw(state) {
    const now = Date.parse(state.now);
    drawVerdict(state.verdict);
    drawConnection(state, now);
    drawStore(state);
    if (state.parts.rate) drawRate(state.parts.rate, now);
    if (state.parts.coverage) drawCoverage(state.parts.coverage, now);
    if (state.parts.drift) {
      table("drift", [["position"], ["status"], ["market"], ["wallet"], ["value", "number"], ["how"], ["what to do", "words"]],
        state.parts.drift.map((row) => [{ text: row.position_id, href: `position?id=${encodeURIComponent(row.position_id)}` },
          row.status, row.market_ticker || row.market_title, row.wallet_address, row.value, [row.kind, ...row.fields].join(" "), { words: row.to_do, code: row.command }]),
        "None: no run left anything that differs.");
    }
    if (state.parts.runs) {
      table("runs", [["run"], ["started"], ["why"], ["state"], ["seen", "number"], ["missing", "number"], ["stale", "number"], ["divergent", "number"], ["absent", "number"], ["repaired", "number"], ["still differ", "number"], ["error", "words"]],
        state.parts.runs.map((run) => [run.run_id, moment(run.started_at), `${run.trigger}, ${run.scope}`, run.state, number(run.seen), number(run.missing), number(run.stale),
          number(run.divergent), number(run.absent_upstream), number(run.repaired), number(run.unresolved), run.error]),
        "No run yet.");
    }
    if (state.parts.quarantine) {
      table("quarantine", [["reason"], ["inputs", "number"], ["oldest"], ["newest"], ["look"]],
        state.parts.quarantine.map((row) => [row.reason, number(row.inputs), moment(row.oldest_at), moment(row.newest_at),
          { text: `the newest, ${row.newest_id}`, href: `quarantine?id=${row.newest_id}` }]),
        "Nothing waits: every input was understood.");
    }
    byId("footer").textContent = `positionstore ${state.version}, as of ${moment(state.now)}.`;
  }

  draw(JSON.parse(byId("state").textContent));
  byId("main").classList.remove("undrawn"); // nothing was seen before, so that nothing moves
  const source = new EventSource("stream");
  source.addEventListener("state", (event) => draw(JSON.parse(event.data)));
  source.onerror = () => {
    drawn.verdict = "";
    drawVerdict({ level: "bad", line: "The service does not answer.", reasons: ["What is shown below is old. Is positionstore running?"] });
  };
})();
