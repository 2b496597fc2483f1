(() => {
  const TEXT = {
    right: ["Right.", "Correcto."],
    partly: ["Partly right.", "Correcto en parte."],
    wrong: ["Not right.", "No es correcto."],
    missing: ["Something right is missing.", "Falta alguna correcta."],
    choose: ["Choose an answer first.", "Elige primero una respuesta."],
    number: ["Write a number such as 12 or 0.5.", "Escribe un número como 12 o 0,5."],
    other: ["Work it out again, or open the answer.", "Haz la cuenta otra vez o abre la respuesta."],
  };

  /** Both languages: the style shows the one in use, also when it changes later. */
  function both([english, spanish], tag = "p") {
    const element = document.createElement(tag);
    for (const [language, text] of [["en", english], ["es", spanish]]) {
      const span = document.createElement("span");
      span.lang = language;
      span.textContent = text;
      element.append(span);
    }
    return element;
  }

  /** A sentence with numbers: `write(n)` must be called for each of them, for the decimal comma. */
  const say = (english, spanish) =>
    both([english, spanish].map((sentence, index) =>
      sentence((value) => value.toLocaleString(["en", "es"][index], { maximumFractionDigits: 2 }))));

  /** Return [share of the points, list items to show, advice or null], or null where nothing was answered. */
  function assess(form) {
    const items = [...form.querySelectorAll("details li[data-right]")];
    const isRight = (item) => item.dataset.right === "true";
    if (form.dataset.type === "numeric") {
      const typed = form.querySelector("input").value.trim().replace("−", "-").replace(",", ".");
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(typed)) return null;
      // 0.666 is within 0.001 of 0.667, though not in binary.
      const hit = items.find(({ dataset }) => {
        const slack = 1e-9 * Math.max(1, Math.abs(dataset.value));
        return Math.abs(typed - dataset.value) <= Number(dataset.tolerance) + slack;
      });
      return hit ? [Number(isRight(hit)), [hit], null] : [0, [], TEXT.other];
    }
    const inputs = [...form.querySelectorAll(".rq-choice input")];
    const chosen = items.filter((_, index) => inputs[index].checked);
    if (!chosen.length) return null;
    const rightChosen = chosen.filter(isRight).length;
    const rightInAll = items.filter(isRight).length;
    const share = Math.max(0, (2 * rightChosen - chosen.length) / rightInAll);
    return [share, chosen, form.dataset.type === "multiple" && rightChosen < rightInAll ? TEXT.missing : null];
  }

  function enhance(root) {
    const forms = [...root.querySelectorAll("form")];
    const switches = [...root.querySelectorAll(".rq-languages button")];
    const progress = root.querySelector(".rq-progress");
    const total = root.querySelector(".rq-total");

    function speak(language) {
      root.lang = root.dataset.language = language;
      for (const button of switches) button.setAttribute("aria-pressed", button.lang === language);
    }

    function showScore() {
      const done = forms.filter((form) => form.dataset.score !== undefined);
      const sum = (list, name) => list.reduce((sofar, form) => sofar + Number(form.dataset[name]), 0);
      const [points, of] = [sum(done, "score"), sum(done, "points")];
      progress.replaceChildren(say(
        (n) => `Checked: ${n(done.length)} of ${n(forms.length)} questions. Points so far: ${n(points)} of ${n(of)}.`,
        (n) => `Comprobadas: ${n(done.length)} de ${n(forms.length)} preguntas. Puntos hasta ahora: ${n(points)} de ${n(of)}.`,
      ));
      total.replaceChildren();
      if (done.length < forms.length) return;
      const percent = Math.round((100 * points) / of);
      total.append(say(
        (n) => `Your score: ${n(points)} of ${n(of)} points (${percent}%).`,
        (n) => `Tu puntuación: ${n(points)} de ${n(of)} puntos (${percent} %).`,
      ));
      const lost = forms.filter((form) => Number(form.dataset.score) < Number(form.dataset.points));
      const again = [...new Set(lost.map((form) => form.dataset.objective))].join(", ");
      if (again) total.append(both([`Worth reading again: ${again}.`, `Conviene repasar: ${again}.`]));
    }

    function check(form) {
      const feedback = form.querySelector(".rq-feedback");
      const answer = assess(form);
      if (!answer) {
        feedback.replaceChildren(both(form.dataset.type === "numeric" ? TEXT.number : TEXT.choose));
        return;
      }
      const [share, items, advice] = answer;
      const points = Number(form.dataset.points);
      const verdict = share === 1 ? TEXT.right : share > 0 ? TEXT.partly : TEXT.wrong;
      const list = document.createElement("ul");
      list.append(...items.map((item) => item.cloneNode(true)));
      feedback.replaceChildren(say(
        (n) => [`${verdict[0]} Points: ${n(share * points)} of ${n(points)}.`, advice?.[0] ?? ""].join(" "),
        (n) => [`${verdict[1]} Puntos: ${n(share * points)} de ${n(points)}.`, advice?.[1] ?? ""].join(" "),
      ));
      if (items.length) feedback.append(list);
      form.dataset.score ??= share * points;
      form.querySelector("details").hidden = false;
      showScore();
    }

    function start() {
      for (const form of forms) {
        form.reset();
        delete form.dataset.score;
        form.querySelector(".rq-feedback").replaceChildren();
        Object.assign(form.querySelector("details"), { hidden: true, open: false });
      }
      showScore();
    }

    for (const form of forms) {
      form.querySelector("fieldset").disabled = false;
      form.querySelector("button").hidden = false;
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        check(form);
      });
    }
    for (const button of switches) button.addEventListener("click", () => speak(button.lang));
    root.querySelector(".rq-again").addEventListener("click", () => {
      start();
      root.querySelector("h2").focus();
    });
    // A notebook takes the arrows, Enter, B and others for its own commands; it keeps Ctrl+S.
    root.addEventListener("keydown", (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    });
    for (const part of root.querySelectorAll(".rq-languages, .rq-score")) part.hidden = false;
    speak(navigator.language.startsWith("es") ? "es" : "en");
    start();
  }

  document.querySelectorAll(".resumen-quiz:not([data-language])").forEach(enhance);
})();
