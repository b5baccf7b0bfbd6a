"""Pages and cards, made from plain data: no model is run and nothing is measured here.

page       what a page says -> one self-contained HTML file
content    results of evaluate and export -> what the demo's page says
profile_page  the JSON of `tinyse profile` -> the same page
runs_page  run folders -> the page that compares them
  runs       folders -> entries        measures   an entry -> its numbers and how they came about
  tradeoff   axes, Pareto front        layers     bars of one run
  matrices   weights.npz -> pictures   clips      wav files -> best, median, worst
  vega       charts as Vega-Lite specifications
card       a published model's JSON files -> its README.md
charts     numbers and sounds -> SVG, PNG and FLAC inside the page
"""
