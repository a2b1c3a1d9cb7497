"""Chat templates that write tools, calls and thoughts as those of several families do, written anew; one without."""

QWEN = (
    "{%- if tools %}<|im_start|>system\n{% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}"
    "# Tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n"
    "{%- elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
    "{%- set asked = namespace(last=0) %}"
    "{%- for turn in messages %}{% if turn.role == 'user' %}{% set asked.last = loop.index0 %}{% endif %}{% endfor %}"
    "{%- for turn in messages %}"
    "{%- if turn.role == 'assistant' %}<|im_start|>assistant\n"
    "{%- set thought = turn.reasoning_content if turn.reasoning_content is defined else '' %}"
    "{%- if loop.index0 > asked.last and (loop.last or thought) %}{{ '\n<think>\n' + thought.strip('\n') }}"
    "{{ '\n</think>\n\n' + turn.content.lstrip('\n') }}{% else %}{{ '\n' + turn.content }}{% endif %}"
    "{%- for call in turn.tool_calls or [] %}{{ '\n' if turn.content or not loop.first }}"
    '{{- \'<tool_call>\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{- call.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>{{ '\n' }}"
    "{%- elif turn.role == 'tool' %}"
    "{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}"
    "{{ '\n<tool_response>\n' + turn.content + '\n</tool_response>' }}"
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>{{ '\n' }}{% endif %}"
    "{%- elif turn.role == 'user' %}<|im_start|>user\n{{ turn.content }}<|im_end|>{{ '\n' }}{% endif %}{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"
)
LLAMA = (
    "{{ '<s>' }}{% if tools is defined and tools %}<|start_header_id|>system<|end_header_id|>\n\n"
    "{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|eot_id|>{% endif %}"
    "{% for turn in messages %}"
    "{% if turn.role == 'tool' %}<|start_header_id|>ipython<|end_header_id|>\n\n"
    "{% if turn.content is mapping or turn.content is iterable %}{{ turn.content | tojson }}"
    "{% else %}{{ turn.content }}{% endif %}<|eot_id|>"
    "{% elif 'tool_calls' in turn %}{% if turn.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}"
    "{% endif %}{% set call = turn.tool_calls[0].function %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    "{{ '{\"name\": \"' + call.name + '\", \"parameters\": ' }}{{ call.arguments | tojson }}{{ '}' }}<|eom_id|>"
    "{% else %}<|start_header_id|>{{ turn.role }}<|end_header_id|>\n\n{{ turn.content | trim }}<|eot_id|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
# The tools stand before the last question, and roles must alternate but for tools.
MISTRAL = (
    "{{ '<s>' }}{% set said = messages | selectattr('role', 'equalto', 'user') | list %}"
    "{% set ns = namespace(n=0) %}{% for turn in messages %}"
    "{% if turn.role == 'user' or (turn.role == 'assistant' and not turn.tool_calls) %}"
    "{% if (turn.role == 'user') != (ns.n % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}"
    "{% for turn in messages %}{% if turn.role == 'user' %}"
    "{% if tools and turn == said[-1] %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
    "[INST] {{ turn.content }}[/INST]"
    "{% elif turn.tool_calls %}[TOOL_CALLS] [{% for call in turn.tool_calls %}"
    "{% if call.id is not defined or call.id | length != 9 %}{{ raise_exception('ids have nine letters') }}{% endif %}"
    "{{ (call.function | tojson)[:-1] + ', \"id\": \"' + call.id + '\"}' }}{{ ', ' if not loop.last }}{% endfor %}]</s>"
    "{% elif turn.role == 'tool' %}[TOOL_RESULTS] {{ '{\"content\": ' + turn.content + '}' }}[/TOOL_RESULTS]"
    "{% else %} {{ turn.content }}</s>{% endif %}{% endfor %}"
)
# Thoughts are called `thinking`, and tokens of the template part a thought from what is said.
CHANNELS = (
    "{% for turn in messages %}{% if turn.role == 'assistant' %}"
    "{% if turn.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ turn.thinking }}<|end|>{% endif %}"
    "{% if turn.tool_calls %}<|start|>assistant to={{ turn.tool_calls[0].function.name }}<|channel|>commentary"
    "<|message|>{{ turn.tool_calls[0].function.arguments | tojson }}<|call|>"
    "{% else %}<|start|>assistant<|channel|>final<|message|>{{ turn.content }}"
    "{{ '<|return|>' if loop.last else '<|end|>' }}{% endif %}"
    "{% else %}<|start|>{{ turn.role }}<|message|>{{ turn.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
DEAF = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {"qwen": QWEN, "llama": LLAMA, "mistral": MISTRAL, "channels": CHANNELS, "deaf": DEAF}
SPECIAL = (
    "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>",
    "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>",
)  # fmt: skip
