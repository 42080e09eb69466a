"""Makes one page of HTML with every table, which needs no network and no script.

* ``contents`` gathers what the page shows, from one reading of a database.
* ``summary`` says what was asked, what was found, and what is incomplete.
* ``table_view`` and ``trail_view`` give a table and the runs of a row as texts for templates.
* ``figure`` puts a figure into the page, for light and for dark screens.
* ``document`` fills the templates in ``templates/``, in which every text is escaped.
* ``garbage`` keeps Python from looking for garbage among all that a page holds.
* ``files`` names the files of the folder: the page, and those of each table.
"""
