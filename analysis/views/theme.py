"""One look for all charts, light and dark, in colours that colour-blind people can tell apart.

Okabe & Ito, Color Universal Design (2008); their black and yellow are left out, each being invisible in one
mode.
"""

import plotly.graph_objects as go

BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
)
COLOURS = [BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY]
GREY = "#8b919c"  # legible on white and on near-black
VEIL = "rgba(128,128,128,0.14)"  # behind text that stands on lines
SYMBOLS = ["diamond", "square", "triangle-up", "star", "cross", "hexagon", "triangle-down", "pentagon"]
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif'
STATES = {
    "finished": GREEN,
    "stopped": SKY,
    "running": BLUE,
    "interrupted": PURPLE,
    "diverged": ORANGE,
    "failed": VERMILLION,
    "out of memory": VERMILLION,
    "cancelled": GREY,
}


def state_colour(state: str) -> str:
    """The colour of a trial's state; grey for one that this version does not know."""
    return STATES.get(state, GREY)


def template(dark: bool) -> go.layout.Template:
    """The Plotly template of one mode; backgrounds are transparent, so that the page shows through."""
    ink, grid, line = ("#d7dae0", "#2c313a", "#565d69") if dark else ("#2b2f36", "#e8eaee", "#aab0ba")
    axis = dict(
        gridcolor=grid,
        linecolor=line,
        zeroline=False,
        showline=True,
        ticks="outside",
        tickcolor=line,
        ticklen=4,
        automargin=True,
        title=dict(standoff=10, font=dict(size=12)),
        tickfont=dict(size=11),
    )
    return go.layout.Template(
        layout=dict(
            font=dict(family=FONT, size=12, color=ink),
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            colorway=COLOURS,
            xaxis=axis,
            yaxis=axis,
            margin=dict(l=20, r=16, t=16, b=20),
            hovermode="closest",
            legend=dict(orientation="h", yanchor="bottom", y=1.02, xanchor="left", x=0, font=dict(size=11)),
            hoverlabel=dict(font=dict(family=FONT, size=12), align="left"),
            colorscale=dict(sequential="Cividis"),
        )
    )


LIGHT, DARK = template(dark=False), template(dark=True)
