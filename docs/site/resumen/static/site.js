// What is wider than its place can be scrolled with the keyboard.
function reach() {
  for (const box of document.querySelectorAll("pre, .text_html, .wide")) {
    const wide = box.scrollWidth > box.clientWidth;
    const name = document.documentElement.lang === "es" ? "Tabla" : "Table";
    for (const [key, value] of Object.entries(box.tagName === "PRE" ? { tabindex: 0 } : { tabindex: 0, role: "group", "aria-label": name }))
      if (wide) box.setAttribute(key, value);
      else box.removeAttribute(key);
  }
}
reach();
addEventListener("resize", reach);
addEventListener("toggle", reach, true);
