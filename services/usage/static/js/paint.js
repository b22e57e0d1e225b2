// Runs before the first paint, so that a stored theme never flashes the other one. Not a module on purpose.
(function () {
  try {
    var theme = localStorage.getItem("tollway.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    var language = localStorage.getItem("tollway.language") || navigator.language || "en";
    document.documentElement.lang = language.toLowerCase().indexOf("zh") === 0 ? "zh-CN" : "en";
  } catch {
    // Storage can be forbidden; the system's theme and English then stand.
  }
})();
