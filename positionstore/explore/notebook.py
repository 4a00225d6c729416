"""The notebook of ``positionstore explore``; marimo runs it as an app, one for each visitor."""

import marimo

__generated_with = "0.23.0"
app = marimo.App(width="full", app_title="positionstore")


@app.cell
def _imports():
    import html

    import altair as alt
    import marimo as mo

    from positionstore.errors import PositionstoreError
    from positionstore.explore import reading

    explorer = reading.explorer()
    relations = {each.name: each for each in explorer.relations}
    return PositionstoreError, alt, explorer, html, mo, reading, relations


@app.cell
def _heading(explorer, mo, reading):
    _advice = " This role could write elsewhere: rather use the reader's URL." * explorer.may_write
    mo.md(
        f"""
        # positionstore

        As `{explorer.role}`, in transactions that cannot write, for {reading.SECONDS} seconds at
        most. Results end after {reading.ROWS:,} rows; `positionstore export` has no such limit.
        Times are UTC.{_advice}
        """
    )


@app.cell
def _choice(mo, relations):
    _kinds = {True: "view", False: "table"}
    _names = {f"{name} ({_kinds[each.is_view]})": name for name, each in relations.items()}
    _usual = next((label for label, name in _names.items() if name == "open_positions"), None)
    choice = mo.ui.dropdown(
        _names, value=_usual, searchable=True, full_width=True, label="Views and tables"
    )
    _all = mo.ui.table(
        [{"name": each.name, "what it is": each.comment} for each in relations.values()],
        selection=None,
        show_download=False,
        show_data_types=False,
        show_column_summaries=False,
        wrapped_columns=["what it is"],
        page_size=50,
    )
    mo.vstack([mo.accordion({f"What there is to read: {len(relations)}": _all}), choice])
    return (choice,)


@app.cell
def _description(choice, html, mo, relations):
    chosen = relations.get(choice.value)
    mo.stop(chosen is None, mo.md("Choose a view to see what is in it."))
    mo.vstack(
        [
            mo.Html(html.escape(chosen.comment)),
            mo.accordion(
                {
                    f"Columns of {chosen.name}: {len(chosen.columns)}": mo.ui.table(
                        [
                            {"column": each.name, "type": each.type, "what it is": each.comment}
                            for each in chosen.columns
                        ],
                        selection=None,
                        show_download=False,
                        show_data_types=False,
                        show_column_summaries=False,
                        wrapped_columns=["what it is"],
                        page_size=15,
                        label="",
                    )
                }
            ),
        ]
    )
    return (chosen,)


@app.cell
def _editor(chosen, mo):
    query = mo.ui.code_editor(
        f"SELECT *\nFROM {chosen.name}\nLIMIT 100", language="sql", min_height=120
    ).form(submit_button_label="Run", bordered=False)
    query
    return (query,)


@app.cell
def _result(PositionstoreError, explorer, html, mo, query, reading):
    mo.stop(query.value is None, mo.md("Run the query to see its rows."))
    try:
        result = explorer.run(query.value)
    except PositionstoreError as error:
        mo.stop(True, mo.callout(mo.Html(html.escape(str(error))), kind="danger"))
    _more = f"the first {reading.ROWS:,} rows, there are more" * result.is_cut
    mo.vstack(
        [
            mo.hstack(
                [
                    mo.md(_more or f"{result.table.num_rows:,} rows"),
                    mo.download(
                        lambda: reading.as_csv(result.table),
                        filename="positionstore.csv",
                        mimetype="text/csv",
                        label="Download CSV",
                    ),
                ],
                justify="space-between",
                wrap=True,
            ),
            mo.ui.table(
                result.table,
                selection=None,
                show_download=False,
                show_column_summaries=False,
                page_size=20,
            ),
        ]
    )
    return (result,)


@app.cell
def _axes(mo, reading, result):
    kinds = {field.name: reading.kind_for_a_chart(field.type) for field in result.table.schema}
    _numbers = [name for name, kind in kinds.items() if kind == "quantitative"]
    _times = [name for name, kind in kinds.items() if kind == "temporal"]
    _words = [name for name, kind in kinds.items() if kind == "nominal"]
    mark = mo.ui.dropdown(
        ["bar", "line", "point"], value="line" if _times else "bar", label="Chart"
    )
    across = mo.ui.dropdown(
        list(kinds), value=next(iter([*_times, *_words, *kinds]), None), label="Across"
    )
    up = mo.ui.dropdown(list(kinds), value=next(iter([*_numbers, *kinds]), None), label="Up")
    color = mo.ui.dropdown(list(kinds), label="Color")
    mo.hstack([mark, across, up, color], justify="start", wrap=True)
    return across, color, kinds, mark, up


@app.cell
def _chart(
    across,
    alt,
    color,
    kinds,
    mark,
    mo,
    reading,
    result,
    up,
):
    mo.stop(not (across.value and up.value and result.table.num_rows))
    _shown = result.table.slice(0, reading.POINTS)
    _encoded = {
        name: channel(
            field=picked.value.replace(".", "\\."),
            type=kinds[picked.value],
            title=picked.value,
            # Times on an axis are UTC, wherever the browser is.
            **{"scale": alt.Scale(type="utc")}
            if name != "color" and kinds[picked.value] == "temporal"
            else {},
        )
        for name, channel, picked in (
            ("x", alt.X, across),
            ("y", alt.Y, up),
            ("color", alt.Color, color),
        )
        if picked.value
    }
    _names = list(dict.fromkeys(each.value for each in (across, up, color) if each.value))
    _base = alt.Chart(alt.Data(values=reading.values_for_a_chart(_shown, _names)))
    _drawn = getattr(_base, f"mark_{mark.value}")(tooltip=True).encode(**_encoded)
    _cut = f"Drawn are the first {reading.POINTS:,} rows." * (
        result.table.num_rows > reading.POINTS
    )
    mo.vstack([_drawn.properties(width="container", height=320), mo.md(_cut)])


if __name__ == "__main__":
    app.run()
