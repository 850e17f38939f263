// Before the first paint: the reader's choice of theme, else what the system prefers.
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("lithoscope-theme"); } catch (error) { chosen = null; }
  var dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
