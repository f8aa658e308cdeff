// What models write, as text nodes: fenced blocks and `inline` code in a
// monospaced font, the rest as it is. Nothing of it is ever read as HTML.
"use strict";

const fence = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;

// partsOf splits text into prose and code. A block that is still being written
// ends with the text.
function partsOf(text) {
  const parts = [];
  let lines = [], open = null;
  const end = (code, language) => {
    let body = lines.join("\n");
    if (!code) body = body.replace(/^(\s*\n)+/, "").trimEnd(); // blocks have a margin
    if (code || body) parts.push({ code, language, body });
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = fence.exec(line);
    if (open && mark && !mark[2] && mark[1].startsWith(open.mark)) {
      end(true, open.language);
      open = null;
    } else if (!open && mark) {
      end(false, "");
      open = { mark: mark[1], language: mark[2] };
    } else {
      lines.push(line);
    }
  }
  if (!open && parts.length === 0) return text ? [{ code: false, language: "", body: text }] : [];
  end(Boolean(open), open ? open.language : "");
  return parts;
}

// inline is prose with its code: odd pieces stood between backticks.
function inline(body) {
  return body.split(/(?<!`)`([^`\n]+)`(?!`)/).map((piece, i) => {
    if (i % 2 === 0) return document.createTextNode(piece);
    const code = document.createElement("code");
    code.textContent = piece;
    return code;
  });
}

function copyButton(text) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

// emptyPart is the element of a part, not yet filled.
function emptyPart(part) {
  const e = document.createElement("div");
  e.className = part.code ? "code" : "prose";
  if (!part.code) return e;
  const bar = document.createElement("p");
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  bar.append(document.createElement("span"));
  if (navigator.clipboard) bar.append(copyButton(() => code.textContent)); // other machines' pages without TLS have none
  pre.tabIndex = 0; // long lines are scrolled by keyboard as well
  pre.append(code);
  e.append(bar, pre);
  return e;
}

function fillPart(e, part) {
  if (!part.code) {
    e.replaceChildren(...inline(part.body));
    return;
  }
  e.querySelector("span").textContent = part.language || "code";
  e.querySelector("code").textContent = part.body;
}

// showText brings a box up to date with the text so far. Parts that are as they
// were stay, and what is selected in them.
function showText(box, text) {
  const parts = partsOf(text);
  parts.forEach((part, i) => {
    let e = box.children[i];
    if (!e || e.classList.contains("code") !== part.code) {
      const made = emptyPart(part);
      if (e) e.replaceWith(made);
      else box.append(made);
      e = made;
    }
    const now = part.language + "\n" + part.body;
    if (e.shown !== now) fillPart(e, part);
    e.shown = now;
  });
  while (box.children.length > parts.length) box.lastElementChild.remove();
}
