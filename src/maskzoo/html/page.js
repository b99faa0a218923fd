// Sort a table by the column whose button is pressed; numbers fall first, names rise first. What has no number stays last.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const falls = head.getAttribute("aria-sort") === "ascending" || (column > 0 && head.getAttribute("aria-sort") !== "descending");
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.value;
    const compare = (a, b) => {
      if (column === 0) return key(a).localeCompare(key(b), undefined, { numeric: true }) * (falls ? -1 : 1);
      if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
      return (key(a) - key(b)) * (falls ? -1 : 1);
    };
    body.append(...[...body.rows].sort(compare));
  });
}
