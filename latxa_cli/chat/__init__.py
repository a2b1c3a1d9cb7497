"""Chat templates: what a tokenizer's own template makes of a conversation. Nothing here knows a model.

`rendering` (a conversation as text), `folding` (system turns in the user's), `skeleton` (what a template writes round
contents), `turns` (where the contents lie in the text), `counted` (what messages say of the loss), `given` (thoughts,
calls, tools), `composed` (where turns with these lie), `prompt` (the prompt for an answer), `special` (special tokens),
`turn_end` (those that end a turn), `loss_mask` (the tokens that training learns), `thinking` (thoughts before an
answer), `pre_query` (the text before a user's first word, for Magpie).

Every marker is found by rendering placeholder contents and looking at what the template wrote round them. Only a
transformers tokenizer object is needed.
"""
