"""Renders a table in every format, one file each.

* ``cells`` makes the text of each cell, which formats for people share.
* ``text`` prints for a terminal.
* ``markdown`` prints Markdown.
* ``matrix`` prints Table 1 as a matrix, as the paper does.
* ``overview`` lists the tables and how complete they are.
* ``csv_table`` prints CSV.
* ``csv_cells`` makes cells that a spreadsheet takes for what they are.
* ``json_table`` prints the stable JSON form.
"""
