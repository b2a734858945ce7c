"use strict";

// A frame is shown while its predicate is pressed. Without this script all of them are.

const all = document.getElementById("all");
const sentences = [...document.querySelectorAll(".sentence")];

function predicatesOf(sentence) {
  return [...sentence.querySelectorAll("button")];
}

function isPressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

function show(sentence, pressed) {
  for (const predicate of predicatesOf(sentence)) {
    predicate.setAttribute("aria-pressed", String(pressed.includes(predicate)));
  }
  const words = pressed.map((predicate) => predicate.value);
  for (const cell of sentence.querySelectorAll("[data-predicate]")) {
    cell.hidden = !words.includes(cell.dataset.predicate);
  }
}

function choose(sentence, predicate) {
  show(sentence, [predicate]);
  all.setAttribute("aria-pressed", "false");
}

function showInAll(every) {
  all.setAttribute("aria-pressed", String(every));
  for (const sentence of sentences) {
    const predicates = predicatesOf(sentence);
    show(sentence, every ? predicates : predicates.slice(0, 1));
  }
}

function step(sentence, key) {
  const forward = getComputedStyle(sentence.querySelector(".words")).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  return key === forward ? 1 : -1;
}

for (const sentence of sentences) {
  const predicates = predicatesOf(sentence);
  predicates.forEach((predicate, index) => {
    predicate.addEventListener("click", () => {
      const alone = isPressed(predicate) && predicates.filter(isPressed).length === 1;
      if (alone) {
        show(sentence, []);
      } else {
        choose(sentence, predicate);
      }
    });
    predicate.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") {
        return;
      }
      event.preventDefault();
      const next = predicates[index + step(sentence, event.key)];
      if (next !== undefined) {
        next.focus();
        choose(sentence, next);
      }
    });
  });
}

all.addEventListener("click", () => showInAll(!isPressed(all)));
all.hidden = !sentences.some((sentence) => predicatesOf(sentence).length > 0);
showInAll(false);

const form = document.querySelector("form"); // in a demo

form?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    form.requestSubmit();
  }
});
