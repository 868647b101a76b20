// Keys for those who like them; the pages need none of this.
"use strict";
document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && field) field.blur();
  if (field || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { j: 1, k: -1 }[event.key];
  if (step) {
    const hits = document.querySelectorAll(".turn.hit");
    const stops = [...(hits.length ? hits : document.querySelectorAll("a.open, .turn"))];
    const here = stops.indexOf(document.activeElement.closest("a.open, .turn"));
    const next = stops[Math.min(Math.max(here + step, 0), stops.length - 1)];
    if (next) { next.focus(); next.scrollIntoView({ block: "center" }); }
  } else if (event.key === "/") {
    document.getElementById("q").select();
  } else if (event.key === "u") {
    document.querySelector("a.up")?.click();
  } else {
    return;
  }
  event.preventDefault();
});
