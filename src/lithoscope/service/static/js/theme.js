// Dark and light, and the colours of the style sheet for what is drawn on canvases.

const root = document.documentElement;
let cache = new Map();

export function isDark() {
  return root.dataset.theme === "dark";
}

/** Value of a style sheet variable, for example colour("accent"). */
export function colour(name) {
  if (!cache.has(name)) cache.set(name, getComputedStyle(root).getPropertyValue(`--${name}`).trim());
  return cache.get(name);
}

function apply(dark) {
  root.dataset.theme = dark ? "dark" : "light";
  cache = new Map();
  dispatchEvent(new CustomEvent("theme"));
}

export function setUpTheme(button) {
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    localStorage.setItem("lithoscope-theme", isDark() ? "light" : "dark");
    apply(!isDark());
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (change) => {
    if (!localStorage.getItem("lithoscope-theme")) apply(change.matches);
    label();
  });
  label();
}
