"use strict";
// Without this script every talk is shown; with it, two systems of one sample side by side.
(() => {
  const bar = document.querySelector(".bar");
  const talks = [...document.querySelectorAll(".talk")];
  const [left, right, sample] = ["left", "right", "sample"].map((name) => document.getElementById(name));
  if (!bar || !left || !right || !sample) return;
  const show = () => {
    for (const scenario of document.querySelectorAll(".talks")) {
      const own = [...scenario.querySelectorAll(".talk")];
      const seeds = new Set(own.map((talk) => talk.dataset.seed));
      const seed = seeds.has(sample.value) ? sample.value : [...seeds][0];
      own.forEach((talk) => {
        const at = [left.value, right.value].indexOf(talk.dataset.system);
        talk.hidden = at < 0 || talk.dataset.seed !== seed;
        talk.style.order = at;
      });
      // Where a scenario was played with none of the two, something is better than nothing.
      if (own.length && own.every((talk) => talk.hidden)) own[0].hidden = false;
    }
  };
  for (const choice of [left, right, sample]) choice.addEventListener("change", show);
  const jump = document.getElementById("jump");
  jump.addEventListener("change", () => { location.hash = jump.value; });
  bar.hidden = talks.length < 2;
  show();
})();
