// Sets the theme before anything is drawn. A classic script: modules run late.
(() => {
  let wanted = null;
  try {
    wanted = localStorage.getItem("qlora.theme");
  } catch {
    // Storage can be switched off; then the system's theme holds.
  }
  if (wanted === "light" || wanted === "dark") document.documentElement.dataset.theme = wanted;
})();
