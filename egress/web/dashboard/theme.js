// Before anything is drawn, lest a page flash in the other colours.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // No storage: the system's choice it is.
}
