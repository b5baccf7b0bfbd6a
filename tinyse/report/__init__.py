"""Pages and cards, made from plain data: no model is read and nothing is measured here.

page     what a page says -> one self-contained HTML file
content  results of evaluate and export -> what the demo's page says
card     a published model's JSON files -> its README.md
charts   numbers and sounds -> SVG, PNG and FLAC inside the page
"""
