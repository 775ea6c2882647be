// What a page may do with a script: switch the theme, copy a command, show a slider's value, put focus back.
"use strict";

const root = document.documentElement;

function ready(part) {
  for (const button of part.querySelectorAll("button[hidden]")) button.hidden = false;
}

document.addEventListener("click", (event) => {
  const theme = event.target.closest("button.theme");
  if (theme) {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("wellfed-theme", root.dataset.theme); } catch { /* storage may be off */ }
  }
  const copy = event.target.closest("button.copy");
  if (copy) {
    const text = copy.parentElement.querySelector("code").textContent;
    navigator.clipboard.writeText(text).then(() => {
      const before = copy.textContent;
      copy.textContent = copy.dataset.done;
      setTimeout(() => { copy.textContent = before; }, 1500);
    });
  }
});

document.addEventListener("input", (event) => {
  if (event.target.type === "range") {
    const output = event.target.closest("label").querySelector("output");
    output.textContent = event.target.id === "at" ? `${event.target.value} s` : event.target.value;
  }
});

// Empty fields say nothing: they are left out of addresses.
document.addEventListener("htmx:configRequest", (event) => {
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});
document.addEventListener("formdata", (event) => {
  const empty = [...event.formData.entries()].filter(([, value]) => value === "").map(([name]) => name);
  for (const name of empty) if (event.formData.getAll(name).every((value) => value === "")) event.formData.delete(name);
});
// Long work: the form's answer comes as events, how far it is first. Cancelling closes the connection, which ends the work.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-stream]");
  if (!form || !window.EventSource) return;
  event.preventDefault();
  const target = document.getElementById(form.dataset.stream), working = document.querySelector(".working");
  const address = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
  const source = new EventSource(address), words = working.querySelector("span");
  const end = () => { source.close(); working.hidden = true; target.classList.remove("htmx-request"); };
  words.textContent = "";
  working.hidden = false;
  target.classList.add("htmx-request");
  working.querySelector("button").onclick = end;
  source.addEventListener("progress", (told) => {
    const { done } = JSON.parse(told.data);
    if (done) words.textContent = working.dataset.said.replace("COUNT", done);
  });
  source.addEventListener("result", (told) => {
    end();
    target.innerHTML = JSON.parse(told.data).html;
    history.pushState({}, "", address);
  });
  source.addEventListener("error", (told) => {
    end();
    target.textContent = told.data ? JSON.parse(told.data).error.message : working.dataset.failed;
  });
});

document.addEventListener("htmx:afterSwap", (event) => ready(event.detail.elt.ownerDocument));
ready(document);
