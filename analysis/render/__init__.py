"""Renders a table in every format, one file each.

* ``grid`` makes the texts of all cells, which formats for people share.
* ``notes`` writes what stands around a table: its title, its marks, its claims.
* ``text`` prints for a terminal.
* ``markdown`` prints Markdown.
* ``latex`` prints LaTeX with booktabs.
* ``latex_text`` writes any text so that pdflatex shows it as it is.
* ``matrix`` prints Table 1 as a matrix, as the paper does.
* ``overview`` lists the tables and how complete they are.
* ``csv_table`` prints CSV.
* ``csv_cells`` makes cells that a spreadsheet takes for what they are.
* ``json_table`` prints the stable JSON form.
"""
