"""What grading says of a submission, in Spanish: why it was not run to its end, what was mended, what became of a test.

Results are kept in English, and a page is written in the language that is asked for: so the sentences are found by their English.
`tests/instructor/test_spanish.py` reads the modules that say them, and fails if one has no Spanish here.
"""

import re

WHAT = {
    "holds several cells in one": "en {where} hay varias celdas en una",
    "has lost its nbgrader metadata": "en {where} faltan los metadatos de nbgrader",
    "is there more than once, also as cell {numbers}": "{where} está repetida (copias: {numbers})",
    "is a {kind} cell": "{where} es de tipo {kind}",
    "has other nbgrader metadata than the released lab": "{where} tiene metadatos de nbgrader distintos de los originales",
    "was changed": "{where} se modificó",
    "has nbgrader metadata that are not this lab's": "{where} tiene metadatos de nbgrader que no son de este cuaderno",
    "is no cell but {kind}": "{where} no es una celda, sino un valor de tipo {kind}",
    "holds half a character, such as half an emoji, which no file can keep": "en {where} hay medio carácter, "
    "por ejemplo medio emoji, y ningún archivo puede guardarlo",
    "The answer to {name} stands in cell {numbers}, and not in its answer cell": "la respuesta a {name} está en la celda {numbers} "
    "y no en su celda de respuesta",
    "The answer cell {name} is missing": "falta la celda de respuesta {name}",
    "The test cell {name} is missing": "falta la celda de prueba {name}",
    "The cell {name} is missing": "falta la celda {name}",
    "Cells {numbers} are one {cell}, {name}": "las celdas {numbers} son una sola {cell}, {name}",
    "Answer and test cells were moved": "algunas celdas de respuesta o de prueba cambiaron de lugar",
    "The file is in a format of before 2015": "el archivo tiene un formato anterior a 2015",
    "The file is damaged ({why})": "el archivo está dañado ({why})",
    "The file begins with the mark of {name}, which notebooks lack": "el archivo empieza con la marca de {name}, "
    "que los cuadernos no llevan",
    "The file is not in UTF-8": "el archivo no está en UTF-8",
    "The file ends in zeros": "el archivo termina en ceros",
    "The file has line breaks or tabs where JSON has none": "el archivo tiene saltos de línea o tabulaciones donde JSON no los admite",
}
"""What is wrong with a notebook (`check.cells.Fault.what`)."""

DONE = {
    "it was taken apart": "se separaron",
    "it was found by {what}": "se reconoció por {what}",
    "it was found all the same": "se reconoció de todos modos",
    "it counts as not attempted": "cuenta como sin intentar",
    "it was put back": "se volvió a poner",
    "they were joined": "se unieron",
    "this one counts": "cuenta esta",
    "it was taken for a {kind} cell": "se tomó como celda de tipo {kind}",
    "they were put back": "se restauraron los originales",
    "the original was put back": "se restauró la original",
    "yours runs first, then the original": "primero se ejecuta la tuya y después la original",
    "they were dropped": "se quitaron",
    "they were put back in order": "se pusieron otra vez en orden",
    "it was brought into today's": "se convirtió al actual",
    "it was passed by": "se pasó por alto",
    "� stands in its place": "en su lugar está �",
    "it was put right": "se arregló",
    "it was read all the same": "se leyó de todos modos",
    "some letters are guesses, so look at your accents": "algunas letras son suposiciones, así que revisa tus acentos",
    "they were cut off": "se cortaron",
    "they were kept": "se conservaron",
}
"""What was done about it (`Fault.done`)."""

PARTS = {
    "answer cell": "celda de respuesta",
    "test cell": "celda de prueba",
    "cell": "celda",
    "code": "código",
    "markdown": "Markdown",
    "raw": "texto sin formato (raw)",
    "what it defines": "lo que define",
    "its place": "su lugar",
    "cell {number} has no {names}": "en la celda {number} no se encuentran {names}",
    "its version or its metadata are damaged": "su versión o sus metadatos están dañados",
    "{one} and no {other}": "{one} y {other}",
    "metadata": "los metadatos",
    "source": "el texto",
    "outputs": "las salidas",
    "known type": "un tipo conocido",
    "a zip archive": "un archivo zip",
    "a compressed archive": "un archivo comprimido",
    "a PDF": "un PDF",
    "a picture": "una imagen",
    "an Office document": "un documento de Office",
    "a web page: the page that shows the notebook was saved, not the notebook": "una página web (se guardó la página que muestra el "
    "cuaderno, no el cuaderno)",
    "a binary file": "un archivo binario",
    "the marks of a merge": "las marcas de una fusión de git",
    "an unfinished download?": "¿una descarga sin terminar?",
}
"""Words inside the sentences."""

REASONS = {
    # a file that is not graded
    "This notebook has no answer and no test cell of the lab: is it the right file?": "Este cuaderno no tiene ninguna celda de "
    "respuesta ni de prueba de la tarea: ¿es el archivo correcto?",
    "This is the notebook of {one}, not of {other}: is it the right file?": "Este es el cuaderno de {one}, no el de {other}: "
    "¿es el archivo correcto?",
    "The file is larger than {size} MB: clear all outputs, save it, and try again.": "El archivo ocupa más de {size} MB: borra todas "
    "las salidas, guárdalo y vuelve a intentarlo.",
    "The file is JSON, but not a notebook: it has no cells, so take the right file.": "El archivo es JSON, pero no es un cuaderno: no "
    "tiene celdas, así que elige el archivo correcto.",
    "The file has {number} cells: keep those of the lab and some of your own, and try again.": "El archivo tiene {number} celdas: deja "
    "las de la tarea y algunas tuyas, y vuelve a intentarlo.",
    "The file has {size} MB of text in its cells: put data into files, keep the code, and try again.": "Las celdas del archivo tienen "
    "{size} MB de texto: guarda los datos en archivos, deja el código y vuelve a intentarlo.",
    "The file is empty: take an earlier copy, or the released notebook, and write your answers in.": "El archivo está vacío: toma una "
    "copia anterior, o el cuaderno original, y escribe en él tus respuestas.",
    "The file is not a notebook but {kind}: take the .ipynb file itself.": "El archivo no es un cuaderno, sino {kind}: entrega el propio "
    "archivo .ipynb.",
    "The file is not a notebook: it stops being JSON in line {line} ({why}), so take an earlier copy, or the released notebook, and copy "
    "your answers into it.": "El archivo no es un cuaderno: deja de ser JSON en la línea {line} ({why}), así que toma una copia anterior, "
    "o el cuaderno original, y copia en él tus respuestas.",
    "The file is JSON, but not a notebook: it nests or counts too far to be read.": "El archivo es JSON, pero no es un cuaderno: tiene "
    "demasiados niveles o números demasiado largos.",
    # a cell, or a kernel
    "it took more than {seconds} s: is there a loop that does not end?": "tardó más de {seconds} s: ¿hay un bucle que no termina?",
    "a cell took too long and could not be interrupted": "una celda tardó demasiado y no se pudo interrumpir",
    "a cell took more than {seconds} s and could not be interrupted": "una celda tardó más de {seconds} s y no se pudo interrumpir",
    "it failed without an error that can be shown: {error}": "falló sin un error que se pueda mostrar: {error}",
    "the kernel died: {why}": "el kernel se detuvo: {why}",
    "the kernel broke the rules of its line: {error}": "el kernel envió algo que no se puede leer: {error}",
    "the time of this submission is used up": "se agotó el tiempo de esta entrega",
    "an answer did not come back when its test was over": "una respuesta seguía en marcha cuando terminó su prueba",
    "a test was interrupted while an answer ran": "una prueba se interrumpió mientras se ejecutaba una respuesta",
    "the tests could not be prepared: {error}": "las pruebas no se pudieron preparar: {error}",
    "an answer took more than {seconds} s and could not be interrupted": "una respuesta tardó más de {seconds} s y no se pudo interrumpir",
    "the process of the answers ended: it was killed, crashed, or ran out of memory": "el proceso de las respuestas terminó: lo "
    "detuvieron, falló o se quedó sin memoria",
    "the process of the answers sent {error}": "el proceso de las respuestas envió algo que no se puede leer ({error})",
    "the process of the answers sent no reply: {error}": "el proceso de las respuestas no contestó: {error}",
    "the process of the answers does not respond": "el proceso de las respuestas no responde",
    "it was killed, crashed, or ran out of memory": "lo detuvieron, falló o se quedó sin memoria",
    "it was killed": "lo detuvieron desde fuera",
    "the warm server ended": "terminó el servidor del que dependía",
    "it used more than {seconds} s of processor time": "usó más de {seconds} s de procesador",
    "it used more than {size} MB of memory": "usó más de {size} MB de memoria",
    "it wrote more than {size} MB of output": "escribió más de {size} MB de salida",
    "it started more than {number} processes": "inició más de {number} procesos",
    "the submission took more than {seconds} s": "la entrega tardó más de {seconds} s",
    "it ended itself, with exit code {code}": "se cerró a sí mismo, con el código {code}",
    "it crashed ({signal})": "falló ({signal})",
    "Grading it was tried {number} times, and {why}.": "Se intentó corregir {number} veces, y {why}.",
    "the process that graded it ended without a word ({code})": "el proceso que corregía terminó sin avisar ({code})",
    "the workers that graded it ended without a word": "los procesos que corregían terminaron sin avisar",
    # a test
    "A check failed: {error}.": "Falló una comprobación: {error}.",
    "Your code wrote to the error stream, which costs the points: {words}": "Tu código escribió en la salida de errores, y eso cuesta "
    "los puntos: {words}",
    "Its last line is no number of points: {error}.": "Su última línea no es un número de puntos: {error}.",
}
"""Why a notebook was not graded or not run to its end, and what grading itself says of a test."""

UNKNOWN = "El programa que corrige dio este aviso, en inglés: «{words}»."
"""Around the words of another program, such as an error of the operating system."""


def in_spanish(sentence: str) -> str:
    """Return a sentence of the damage report or a reason in Spanish; one that nobody knows is quoted."""
    told = _damage(sentence) or _translated(sentence, REASONS)
    return told or (UNKNOWN.format(words=sentence) if sentence else "")


def message_in_spanish(message: str) -> str:
    """Return what became of a test, with the lines that are grading's own in Spanish: what a test says, it says in its own language."""
    return "\n".join(_translated(line, REASONS) or line for line in message.split("\n"))


_TOLD = re.compile(
    r"(?:Cell (?P<numbers>\d+(?: and \d+)*)(?: \((?P<cell>(?:answer |test )?cell) (?P<name>.+?)\))? )?"
    r"(?P<what>.+?)(?:, like (?P<more>\d+) more)?: (?P<done>[^:]+)\."
)
"""What `check.cells.told` makes of faults."""


def _damage(sentence: str) -> str:
    """Return a sentence of the damage report in Spanish, "" if it is none."""
    told = _TOLD.fullmatch(sentence)
    what = told and _translated(told["what"], WHAT)
    done = told and _translated(told["done"], DONE)
    if not what or not done:
        return ""
    if told["numbers"]:
        where = ("las celdas " if " and " in told["numbers"] else "la celda ") + _part(told["numbers"])
        where += f" ({_part(told['cell'])} {told['name']})" if told["cell"] else ""
        what = what.replace("{where}", where)
    more = int(told["more"] or 0)
    like = f" (lo mismo en otras {more})" if more > 1 else " (lo mismo en otra)" if more else ""
    return f"{what[0].upper()}{what[1:]}{like}: {done}."


def _translated(text: str, table: dict[str, str]) -> str:
    """Return a text in Spanish, with what stands in its places; "" if the table does not have it."""
    # The template with the most letters of its own is the one that says most.
    for english in sorted(table, key=lambda one: -len(re.sub(r"{\w+}", "", one))):
        found = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(english)), text, re.S)
        if found:
            spanish = table[english]
            for name, value in found.groupdict().items():
                spanish = spanish.replace(f"{{{name}}}", _part(value))
            return spanish
    return ""


def _part(words: str) -> str:
    """Return what stands in a place of a sentence, in Spanish where it is ours: numbers, names and errors stay."""
    if re.fullmatch(r"\d+(?: and \d+)+", words):
        return words.replace(" and ", " y ")
    return _translated(words, PARTS) or _translated(words, REASONS) or words
