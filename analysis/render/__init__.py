"""A table in each format: ``text``, ``markdown``, ``matrix`` (a table with two axes), ``csv_table``
and ``json_table``.

``cells`` makes the text of each cell, which all formats share; ``csv_cells`` that of cells in files
for other programs.
"""
