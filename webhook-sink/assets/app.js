// Live updates, the chart, keys and completion. The page is whole without this file.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const body = document.body;
  const live = $("live");

  // Relative times, and the exact local time on hover.
  const units = (body.dataset.units || "s,min,h,d").split(",");
  const span = (s) => s < 60 ? Math.floor(s) + units[0] : s < 3600 ? Math.floor(s / 60) + units[1]
    : s < 172800 ? Math.floor(s / 3600) + units[2] : Math.floor(s / 86400) + units[3];
  const times = () => {
    for (const t of document.querySelectorAll("time[datetime]")) {
      const at = new Date(t.dateTime);
      t.title = at.toLocaleString(document.documentElement.lang) + "\n" + t.dateTime;
      const s = (Date.now() - at) / 1000;
      if (t.hasAttribute("data-until")) t.textContent = s > -1 ? body.dataset.now : span(-s);
      if (t.hasAttribute("data-ago")) t.textContent = s < 1 ? body.dataset.now : span(s) + body.dataset.ago;
    }
  };

  // The chart: stacked bars, drag to narrow the time.
  let chart = null;
  const draw = () => {
    const box = $("strip");
    if (!box || typeof uPlot === "undefined") return;
    let slots;
    try { slots = JSON.parse(box.dataset.slots); } catch { return; }
    if (!slots.length) return;
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(name).trim();
    const xs = slots.map((s) => s[0]);
    const kinds = [["--stale", 3], ["--ok", 2], ["--crit", 1]];
    // Tallest first: each shows what stands above the next.
    const sums = kinds.map((_, i) => slots.map((s) => kinds.slice(i).reduce((n, k) => n + s[k[1]], 0)));
    if (chart) chart.destroy();
    box.textContent = "";
    const bars = uPlot.paths.bars({ size: [0.8, 40, 2], align: 1 });
    // A bar stands right of its slot's start: the newest one needs room beyond it.
    const step = xs.length > 1 ? xs[1] - xs[0] : 300;
    const long = xs[xs.length - 1] - xs[0] > 172800;
    const clock = new Intl.DateTimeFormat(document.documentElement.lang,
      long ? { month: "numeric", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    chart = new uPlot({
      width: Math.max(300, box.clientWidth), height: 110, legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, y: false, points: { show: false } },
      scales: { x: { range: (_, min, max) => [min, max + step] }, y: { range: (_, __, max) => [0, Math.max(1, max)] } },
      axes: [
        { stroke: colour("--dim"), grid: { show: false }, ticks: { stroke: colour("--line") }, size: 26, values: (_, at) => at.map((t) => clock.format(t * 1000)) },
        { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, size: 40, splits: (u) => { const m = Math.max(1, Math.ceil(u.scales.y.max)); return m > 1 ? [0, Math.round(m / 2), m] : [0, 1]; } },
      ],
      series: [{}].concat(kinds.map((k) => ({ fill: colour(k[0]), stroke: colour(k[0]), width: 0, paths: bars, points: { show: false } }))),
      hooks: { setSelect: [(u) => {
        if (u.select.width < 5) return;
        const at = (px) => new Date(u.posToVal(px, "x") * 1000).toISOString();
        const url = new URL(location.href);
        url.searchParams.set("from", at(u.select.left));
        url.searchParams.set("to", at(u.select.left + u.select.width));
        url.searchParams.delete("before");
        location.href = url;
      }] },
    }, [xs].concat(sums), box);
  };

  // New content in place of old, without losing the reader's place.
  let cards = [], at = -1;
  const collect = () => { cards = [...document.querySelectorAll("[data-key]")]; };
  const mark = (i) => {
    if (!cards.length) return;
    cards.forEach((c) => c.classList.remove("at"));
    at = Math.max(0, Math.min(i, cards.length - 1));
    cards[at].classList.add("at");
    cards[at].scrollIntoView({ block: "nearest" });
    const link = cards[at].querySelector("a");
    if (link) link.focus({ preventScroll: true });
  };
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const keys = new Set(cards.map((c) => c.dataset.key));
        const held = cards[at] && cards[at].dataset.key;
        const focused = document.activeElement && document.activeElement.closest("#list");
        for (const id of ["counts", "list"]) {
          const [old, now] = [$(id), fresh.getElementById(id)];
          if (old && now && old.innerHTML !== now.innerHTML) old.replaceWith(document.adoptNode(now));
        }
        const [box, now] = [$("strip"), fresh.getElementById("strip")];
        if (box && now && box.dataset.slots !== now.dataset.slots) { box.dataset.slots = now.dataset.slots; draw(); }
        collect();
        for (const c of cards) if (!keys.has(c.dataset.key)) c.classList.add("fresh");
        if (held) {
          const i = cards.findIndex((c) => c.dataset.key === held);
          if (i >= 0) { at = i; cards[i].classList.add("at"); if (focused) { const l = cards[i].querySelector("a"); if (l) l.focus({ preventScroll: true }); } }
        }
        times();
      }
    } catch { /* the next event tries again */ }
    busy = false;
    if (again) { again = false; setTimeout(refresh, 1000); }
  };

  // Live.
  const state = (s) => {
    if (!live) return;
    live.dataset.state = s;
    live.textContent = s === "live" ? live.dataset.live : s === "lost" ? live.dataset.lost : live.dataset.off;
  };
  if (body.hasAttribute("data-live") && "EventSource" in window) {
    let timer = 0;
    const soon = () => { clearTimeout(timer); timer = setTimeout(refresh, 250); };
    const source = new EventSource("/api/v1/stream");
    let lost = false;
    source.addEventListener("hello", () => { state("live"); if (lost) { lost = false; soon(); } });
    source.addEventListener("message", soon);
    source.addEventListener("reset", soon);
    source.onerror = () => { lost = true; state("lost"); };
    addEventListener("pagehide", () => source.close());
  }

  // Chips: shift-click leaves out what it would ask for.
  document.addEventListener("click", (e) => {
    const chip = e.target.closest("a.chip[data-not]");
    if (chip && e.shiftKey) { e.preventDefault(); location.href = chip.dataset.not; return; }
    const copy = e.target.closest("button[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText($(copy.dataset.copy).textContent).then(() => { copy.textContent = copy.dataset.done; });
    }
  });

  // Keys.
  const search = $("q"), help = $("help");
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName);
    if (typing) { if (e.key === "Escape") e.target.blur(); return; }
    if (e.key === "/" && search) { e.preventDefault(); search.focus(); search.select(); }
    else if (e.key === "j") mark(at + 1);
    else if (e.key === "k") mark(at - 1);
    else if (e.key === "Enter" && at >= 0 && !e.target.closest("a,button")) { const l = cards[at].querySelector("a"); if (l) l.click(); }
    else if (e.key === "?" && help) { if (help.open) help.close(); else help.showModal(); }
  });

  // Completion of label names and values.
  const list = $("known");
  if (search && list) {
    let asked = "";
    search.addEventListener("input", async () => {
      const m = /^(.*?)(?:([^\s,{="!~]+)(=~|!=|!~|=)"?([^"]*)|([^\s,{="]*))$/s.exec(search.value);
      if (!m) return;
      const [, head, name, op, value, prefix] = m;
      const query = name ? "?name=" + encodeURIComponent(name) + "&prefix=" + encodeURIComponent(value) : "?prefix=" + encodeURIComponent(prefix || "");
      if (query === asked) return;
      asked = query;
      try {
        const found = (await (await fetch("/api/v1/labels" + query)).json()).values;
        if (asked !== query) return;
        list.replaceChildren(...found.map((v) => {
          const o = document.createElement("option");
          o.value = name ? head + name + op + JSON.stringify(v) : head + v + "=";
          return o;
        }));
      } catch { /* no completion then */ }
    });
  }

  collect();
  times();
  setInterval(times, 15000);
  draw();
  let width = 0;
  new ResizeObserver(() => { const b = $("strip"); if (b && b.clientWidth !== width) { width = b.clientWidth; draw(); } }).observe(document.documentElement);
})();
