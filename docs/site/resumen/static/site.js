// What is wider than its place can be scrolled with the keyboard.
for (const box of document.querySelectorAll("pre, .text_html, .wide")) {
  if (box.scrollWidth <= box.clientWidth) continue;
  box.tabIndex = 0;
  if (box.tagName !== "PRE") Object.assign(box, { role: "region", ariaLabel: document.documentElement.lang === "es" ? "Tabla" : "Table" });
}
