// The server writes every page; this only sends forms without a reload, shows a reply while it is spoken, and keeps what
// was typed but not sent. Without it the study works as well, by whole pages.
"use strict";

const POLL = 300, RETRY = 2000;  // milliseconds
const LOST = "The server does not answer at the moment. What you wrote is still here.";
let round = 0;  // polling of a page that is gone stops

const main = () => document.querySelector("main");

function tell(text) {
  const notice = document.querySelector("#notice");
  if (!notice) return;
  notice.textContent = text;
  notice.hidden = !text;
  if (text) notice.scrollIntoView({ block: "nearest" });
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  if (!fresh.querySelector("main")) throw new Error("not a page");
  for (const part of ["header", "main", "footer"]) document.querySelector(part).replaceWith(document.adoptNode(fresh.querySelector(part)));
  document.title = fresh.title;
  prepare(true);
}

async function send(form, button) {
  const data = new URLSearchParams(new FormData(form));
  if (button && button.name) data.set(button.name, button.value);
  const buttons = document.querySelectorAll("button");
  buttons.forEach((each) => { each.disabled = true; });
  tell("");
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: data });
    if (answer.status === 413) throw new Error("This is too long to be sent. Please shorten it.");
    if (answer.status >= 500) throw new Error(LOST);
    forget(form);
    show(await answer.text());
  } catch (error) {
    tell(error instanceof TypeError ? LOST : error.message);
    buttons.forEach((each) => { each.disabled = false; });
  }
}

async function follow(bubble) {
  const mine = ++round;
  const said = bubble.querySelector(".said");
  while (mine === round && bubble.isConnected) {
    let wait = POLL;
    try {
      const answer = await fetch(bubble.dataset.reply, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error("no state");
      const state = await answer.json();
      if (mine !== round) return;
      tell("");
      if (state.state === "said" || state.state === "failed") {
        const page = await fetch("/");
        if (mine === round) show(await page.text());
        return;
      }
      const low = atEnd();
      said.textContent = state.text || state.words;
      bubble.classList.toggle("speaking", Boolean(state.text));
      if (low) toEnd();
    } catch {
      tell("The server does not answer at the moment. Everything that was sent is kept; trying again.");
      wait = RETRY;
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

const atEnd = () => window.innerHeight + window.scrollY > document.body.scrollHeight - 160;
const toEnd = () => window.scrollTo({ top: document.body.scrollHeight });
const draftOf = (form) => "draft " + form.dataset.draft;
const forget = (form) => { if (form.dataset.draft) sessionStorage.removeItem(draftOf(form)); };

function prepare(swapped) {
  const text = document.querySelector("textarea");
  if (text) {
    const form = text.form;
    const keep = () => { sessionStorage.setItem(draftOf(form), text.value); count(text); };
    text.value = text.value || sessionStorage.getItem(draftOf(form)) || "";
    text.addEventListener("input", keep);
    keep();  // what was typed before this script was there, too
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      form.requestSubmit(form.querySelector("button.send"));
    });
    if (!text.disabled && swapped) text.focus({ preventScroll: true });
  }
  const bubble = document.querySelector("[data-reply]");
  if (bubble) follow(bubble); else round++;
  if (document.querySelector("main[data-step='chat']")) toEnd(); else if (swapped) window.scrollTo({ top: 0 });
}

function count(text) {
  const left = document.querySelector("#left");
  const room = Number(text.dataset.longest) - [...text.value].length;
  if (left) left.textContent = room < 200 ? (room >= 0 ? `${room} characters left` : `${-room} characters too many`) : "";
}

document.addEventListener("submit", (event) => {
  if (event.target.getAttribute("action") === "/leave") sessionStorage.clear();
  if (event.defaultPrevented || !event.target.hasAttribute("data-quick")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
// A page that the browser kept for its back button may be behind: ask where the rater is now.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
prepare(false);
