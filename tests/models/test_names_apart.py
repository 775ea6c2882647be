"""Names that are easily taken for one another: siblings, made-up variants, packagers, tags, files, slips.

`=ID` names that entry. `~N` may be unknown, but where it is understood it has N billion parameters (5 % or 0.6 off,
for names round and count towers or not). `!` is refused: no such model was published; `!KIND`: no language model.
"""

from __future__ import annotations

import pytest

from wellfed.catalog.identities import Identity
from wellfed.catalog.model_names import resolve
from wellfed.catalog.other_kinds import DraftModel, NotALanguageModel, Projector
from wellfed.errors import UnknownName, WellfedError
from wellfed.models.counts import counts

SIBLINGS = """
zai-org/GLM-4.7-Flash                                  ~30
zai-org/GLM-4.7                                        =glm-4.7
glm-4.7-flash q8_0                                     ~30
GLM-4.5-Air                                            =glm-4.5-air
GLM-4.5-AirX                                           !
GLM-4.5-X                                              !
zai-org/GLM-4.5V                                       ~107
zai-org/GLM-4.6V-Flash                                 ~10
zai-org/GLM-4.1V-9B-Thinking                           ~10.3
zai-org/GLM-4-9B-0414                                  =glm-4-9b-0414
THUDM/glm-4-9b-chat-1m                                 ~9.4
zai-org/GLM-Z1-9B-0414                                 ~9.4
mistralai/Mistral-Large-3-675B-Instruct-2512           ~675
mistral-large-3                                        ~675
mistral-large-2                                        ~123
mistral-large-9                                        !
mistralai/Mistral-Small-24B-Instruct-2501              =mistral-small-24b
mistralai/Mistral-Small-3.1-24B-Instruct-2503          ~24
mistralai/Ministral-8B-Instruct-2410                   ~8
mistralai/Ministral-3-3B-Instruct-2512                 ~3.8
mistralai/Ministral-3-14B-Reasoning-2512               ~14
mistralai/Codestral-22B-v0.1                           ~22
mistralai/Mamba-Codestral-7B-v0.1                      ~7.3
mistralai/Mixtral-8x22B-Instruct-v0.1                  =mixtral-8x22b
mixtral 8x7b                                           =mixtral-8x7b
mixtral 8x3b                                           !
deepseek-ai/DeepSeek-V3                                =deepseek-v3
deepseek-ai/DeepSeek-V3.1                              =deepseek-v3.1
deepseek-ai/DeepSeek-V3.1-Terminus                     =deepseek-v3.1-terminus
deepseek-ai/DeepSeek-V4.1                              =deepseek-v4.1-flash
deepseek-ai/DeepSeek-V4.1-Flash                        =deepseek-v4.1-flash
deepseek-ai/DeepSeek-V4.1-Pro                          !
zai-org/GLM-5.3                                        =glm-5.3
zai-org/GLM-5.3-Flash                                  ~320
Qwen/Qwen3.8-Flash-Next                                ~180
Qwen/Qwen3.8-Flash                                     !
XiaomiMiMo/MiMo-V2.6-Pro-RL                            ~1024
tencent/Hy3                                            ~295
NousResearch/Hermes-4-405B                             =hermes-4-405b
inclusionAI/Ring-2.5-1T                                =ring-2.5-1t
deepseek-ai/DeepSeek-V4-Flash                          =deepseek-v4-flash
deepseek-ai/DeepSeek-V4-Lite                           !
deepseek-ai/DeepSeek-V3-Lite                           !
deepseek-ai/DeepSeek-V5                                !
deepseek-ai/DeepSeek-R2                                !
deepseek-ai/DeepSeek-R1-Lite                           !
deepseek-ai/DeepSeek-OCR                               ~3.3
deepseek-ai/DeepSeek-OCR-2                             ~3.4
deepseek-ai/deepseek-vl2                               ~27.5
deepseek-ai/deepseek-vl2-tiny                          ~3.4
deepseek-ai/deepseek-vl2-small                         ~16.1
deepseek-ai/Janus-Pro-7B                               ~7.4
deepseek-ai/Janus-Pro-1B                               ~2.1
deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct            =deepseek-coder-v2-lite
deepseek-ai/DeepSeek-Coder-V2-Instruct                 ~236
deepseek-ai/deepseek-coder-6.7b-instruct               =deepseek-coder-6.7b
deepseek-ai/DeepSeek-R1-Distill-Qwen-14B               =deepseek-r1-distill-qwen-14b
deepseek-ai/DeepSeek-R1-Distill-Llama-8B               =deepseek-r1-distill-llama-8b
deepseek-ai/DeepSeek-R1-Distill-Qwen-72B               !
deepseek-ai/DeepSeek-R1-0528-Qwen3-8B                  =deepseek-r1-0528-qwen3-8b
deepseek-ai/deepseek-math-7b-instruct                  =deepseek-math-7b
deepseek-ai/DeepSeek-Prover-V2-671B                    ~671
deepseek-ai/DeepSeek-Prover-V2-7B                      ~7
deepseek-ai/Whatever-7B                                !
deepseek-ai/V3                                         !
Qwen/Qwen3-8B                                          =qwen3-8b
Qwen/Qwen3-8B-Base                                     ~8.2
Qwen/Qwen3-9B                                          !
Qwen/Qwen3-Max                                         !
Qwen/Qwen3-VL-8B-Instruct                              ~8.77
Qwen/Qwen3-VL-30B-A3B-Thinking                         ~31
Qwen/Qwen3-Omni-30B-A3B-Captioner                      ~35
Qwen/Qwen3-Coder-30B-A3B-Instruct                      =qwen3-coder-30b-a3b
Qwen/Qwen3-Coder-Next                                  ~80
Qwen/Qwen3-Next-80B-A3B-Thinking                       ~80
Qwen/Qwen3-Reranker-8B                                 ~7.6
Qwen/Qwen3-Embedding-8B                                ~7.6
Qwen/Qwen3-4B-Instruct-2507                            ~4
Qwen/Qwen3-4B-SafeRL                                   ~4
Qwen/Qwen3.5-9B                                        ~9.4
Qwen/Qwen3.5-Flash                                     !
Qwen/Qwen3.6-35B-A3B                                   =qwen3.6-35b-a3b
Qwen/Qwen3.7-27B                                       !
Qwen/Qwen3.9-27B                                       !
Qwen/Qwen2.5-Coder-32B-Instruct                        ~32.8
Qwen/Qwen2.5-Math-72B-Instruct                         ~72.7
Qwen/Qwen2.5-VL-7B-Instruct                            ~8.3
Qwen/Qwen2.5-Omni-7B                                   ~10.7
Qwen/Qwen2.5-7B-Instruct-1M                            ~7.6
Qwen/Qwen2.5-14B                                       ~14.8
Qwen/Qwen2-VL-7B-Instruct                              ~8.3
Qwen/QwQ-32B-Preview                                   ~32.8
Qwen/QvQ-72B-Preview                                   ~73.4
Qwen/Qwen-7B                                           ~7.7
qwen2.5 33b                                            !
qwen3 30b a22b                                         !
qwen3 235b a3b                                         !
meta-llama/Llama-3.1-405B-Instruct                     =llama-3.1-405b
meta-llama/Llama-3.2-11B-Vision-Instruct               ~10.7
meta-llama/Llama-3.2-90B-Vision-Instruct               ~88.6
meta-llama/Llama-Guard-3-8B                            ~8
meta-llama/Llama-Guard-4-12B                           ~12
meta-llama/Llama-4-Behemoth                            !
meta-llama/Llama-4-Scout-17B-16E                       =llama-4-scout
meta-llama/Llama-4-Scout-17B-128E                      !
meta-llama/Llama-3.3-8B-Instruct                       ~8
meta-llama/CodeLlama-70b-hf                            ~69
nvidia/Llama-3.1-Nemotron-70B-Instruct-HF              ~70.6
nvidia/Llama-3.1-Nemotron-Nano-8B-v1                   ~8
nvidia/Llama-3_3-Nemotron-Super-49B-v1                 ~49.9
nvidia/NVIDIA-Nemotron-Nano-9B-v2                      ~8.9
nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8           ~121
llama 70b                                              !
llama 3.3 8b q4_k_m                                    ~8
moonshotai/Kimi-K2-Instruct-0905                       ~1026
moonshotai/Kimi-K2-Thinking                            =kimi-k2-thinking
moonshotai/Kimi-K2-Mini                                !
moonshotai/Kimi-Linear-48B-A3B-Instruct                ~48
moonshotai/Kimi-VL-A3B-Instruct                        ~16.4
moonshotai/Kimi-Dev-72B                                =kimi-dev-72b
moonshotai/Moonlight-16B-A3B                           ~16
google/gemma-3-27b-it                                  =gemma-3-27b
google/gemma-3n-E4B-it                                 ~7.8
google/gemma-3n-E2B-it                                 ~5.4
google/gemma-4-E2B-it                                  ~5.1
google/gemma-4-31B-it                                  =gemma-4-31b
google/gemma-2-9b-it                                   =gemma-2-9b
google/gemma-5-9b-it                                   !
google/medgemma-4b-it                                  ~4.3
google/shieldgemma-9b                                  ~9.2
google/codegemma-7b-it                                 ~8.5
google/embeddinggemma-300m                             ~0.3
google/t5gemma-9b-9b                                   ~20
microsoft/phi-4                                        =phi-4
microsoft/Phi-4-multimodal-instruct                    ~5.6
microsoft/Phi-4-mini-flash-reasoning                   ~3.9
microsoft/Phi-3-vision-128k-instruct                   ~4.1
microsoft/phi-5                                        !
openai/gpt-oss-20b                                     =gpt-oss-20b
openai/gpt-oss-safeguard-120b                          ~117
openai/gpt-oss-200b                                    !
openai/gpt-oss-120b-mini                               !
MiniMaxAI/MiniMax-M2.5                                 =minimax-m2.5
MiniMaxAI/MiniMax-M1-40k                               ~456
MiniMaxAI/MiniMax-Text-01                              ~456
MiniMaxAI/MiniMax-VL-01                                ~456
MiniMaxAI/MiniMax-M2-Lite                              !
baidu/ERNIE-4.5-0.3B-PT                                ~0.36
baidu/ERNIE-4.5-VL-424B-A47B-PT                        ~424
tencent/Hunyuan-0.5B-Instruct                          ~0.5
XiaomiMiMo/MiMo-7B-RL-0530                             ~7.8
XiaomiMiMo/MiMo-VL-7B-RL                               ~8.3
rednote-hilab/dots.ocr                                 ~3
01-ai/Yi-1.5-9B-Chat                                   ~8.8
01-ai/Yi-VL-34B                                        ~35
TinyLlama/TinyLlama-1.1B-Chat-v1.0                     =tinyllama-1.1b
HuggingFaceTB/SmolVLM2-2.2B-Instruct                   ~2.2
"""

# fine-tunes that tell the family, generation and size of a base of before 2025, and names that only look like one
TUNED = """
TheBloke/CapybaraHermes-2.5-Mistral-7B-GGUF            =mistral-7b
TheBloke/Nous-Hermes-Llama2-13B-GPTQ                   =llama-2-13b
neuralhermes-2.5-mistral-7b.Q4_K_M.gguf                =mistral-7b
OpenBuddy/openbuddy-llama-65b-v8-bf16                  =llama-1-65b
NEU-HAI/Llama-2-7b-alpaca-cleaned                      =llama-2-7b
TheBloke/dolphin-2.6-mistral-7B-AWQ                    =mistral-7b
TheBloke/Mixtral-phi-7b                                !
artificialguybr/Meta-Llama-3.1-8B-openhermes-2.5       =llama-3.1-8b
abacusai/Smaug-Llama-3-70B-Instruct                    =llama-3-70b
mbakgun/Qwen2.5-Coder-14B-n8n-Workflow-Generator       =qwen2.5-14b
someone/Qwen2.5-7B-Instruct-hxq                        !
someone/Llama-3-8B-tale-lora                           !
someone/Qwen2.5-7B-tale-embedding                      !
someone/tale-llama-2-13b-4x13b                         !
kfkas/Llama-2-ko-7b-Chat                               !
Qwen/Qwen2.5-7B-Instuct                                !
lgaalves/llama-2-7b-hf_open-platypus                   !
jondurbin/airoboros-l2-70b-2.2.1                       =llama-2-70b
Sao10K/L3-8B-Lunaris-v1                                =llama-3-8b
someone/Mixtral-8x7B-4expert                           !
cookinai/Valkyrie-V1                                   !
defog/sqlcoder2                                        !
tiny-random/qwen3                                      !
"""

PACKED = """
amd/Llama-3.2-1B-Instruct-awq-g128-int4-asym-fp16-onnx-hybrid  =llama-3.2-1b
amd/Qwen2.5-7B-Instruct-onnx-ryzenai-1.7-hybrid        =qwen2.5-7b
vllm-ascend/Qwen3-32B-w8a8sc-310-vllm-tp4              =qwen3-32b
tclf90/GLM-4.5-Air-AWQ-FP16Mix                         =glm-4.5-air
mudler/Qwen3.5-35B-A3B-APEX-GGUF                       =qwen3.5-35b-a3b
ZhipuAI/glm-4-9b-chat                                  =glm-4-9b-chat
THUDM/glm-4-9b-hf                                      =glm-4-9b-hf
bartowski/ai21labs_AI21-Jamba-Reasoning-3B-GGUF        =jamba-reasoning-3b
allenai/Llama-3.1-Tulu-3-8B-SFT                        =llama-3.1-8b
allenai/OLMo-2-1124-13B-DPO                            =olmo-2-13b
allenai/Llama-3.1-Tulu-3-8B-RM                         !
mlabonne/Hermes-3-Llama-3.1-70B-lorablated             =llama-3.1-70b
vllm-ascend/DeepSeek-V3-Pruning                        !
InternScience/Agents-A1                                !
unsloth/Qwen3-30B-A3B-GGUF                             =qwen3-30b-a3b
unsloth/Qwen3-30B-A3B-GGUF:UD-Q4_K_XL                  =qwen3-30b-a3b
hf.co/unsloth/gpt-oss-20b-GGUF:F16                     =gpt-oss-20b
bartowski/Qwen_Qwen3-14B-GGUF                          =qwen3-14b
bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF             =deepseek-r1-distill-qwen-7b
mradermacher/QwQ-32B-i1-GGUF                           =qwq-32b
lmstudio-community/gemma-3-12b-it-GGUF                 =gemma-3-12b
TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ               =mixtral-8x7b
mlx-community/Qwen3-8B-4bit                            =qwen3-8b
mlx-community/GLM-4.5-Air-mxfp4                        =glm-4.5-air
RedHatAI/Qwen3-32B-FP8-dynamic                         =qwen3-32b
RedHatAI/gemma-3-27b-it-quantized.w4a16                =gemma-3-27b
nvidia/DeepSeek-R1-0528-FP4                            =deepseek-r1-0528
nvidia/Llama-3.3-70B-Instruct-FP8                      =llama-3.3-70b
ubergarm/DeepSeek-V3-0324-GGUF                         =deepseek-v3-0324
turboderp/Llama-3.1-8B-Instruct-exl3                   =llama-3.1-8b
someone/my-own-Qwen3-8B                                !
huihui-ai/Qwen3-8B-abliterated                         =qwen3-8b
huihui-ai/Huihui-Qwen3.8-27B-abliterated-GGUF          =qwen3.8-27b
HauhauCS/Qwen3.6-35B-A3B-Uncensored-HauhauCS-Aggressive  =qwen3.6-35b-a3b
p-e-w/gpt-oss-20b-heretic                              =gpt-oss-20b
mlabonne/gemma-3-27b-it-abliterated-GGUF               =gemma-3-27b
Qwen/Qwen3-8B-aggressive                               !
DavidAU/Qwen3-8B-Horror-Uncensored-GGUF                !
mlabonne/Meta-Llama-3.1-8B-Instruct-abliterated        =llama-3.1-8b
cognitivecomputations/Dolphin3.0-Llama3.1-8B           ~8
yuhuili/EAGLE3-LLaMA3.1-Instruct-8B                    !
nvidia/gpt-oss-120b-Eagle3                             !
unsloth/Qwen3.6-27B-MTP-GGUF                           =qwen3.6-27b
Qwen/Qwen3-32B-FP8-Static-PerTensor                    =qwen3-32b
amd/DeepSeek-R1-MXFP4-Preview                          =deepseek-r1
amd/Llama-3.3-70B-Instruct-FP8-KV                      =llama-3.3-70b
nvidia/DeepSeek-R1-NVFP4-v2                            =deepseek-r1
Intel/Qwen3-Next-80B-A3B-Instruct-int4-mixed-AutoRound  =qwen3-next-80b-a3b
Eco-Tech/DeepSeek-V3.2-w8a8-mtp-QuaRot                 =deepseek-v3.2
Eco-Tech/GLM-5.1-w8a8c8                                =glm-5.1
google/gemma-3-12b-it-qat-q4_0-unquantized             =gemma-3-12b
deepseek-ai/DeepSeek-V3-v2                             !
XiaomiMiMo/MiMo-7B-MTP                                 !
bartowski/Qwen3-8B-preview-GGUF                        !
tngtech/DeepSeek-R1T-Chimera                           ~671
Qwen/Qwen3-8B-draft                                    !
Meta-Llama-3.1-70B-Instruct-Q4_K_M.gguf                =llama-3.1-70b
Qwen3-235B-A22B-UD-Q2_K_XL-00001-of-00002.gguf         =qwen3-235b-a22b
/models/gguf/Qwen3-14B-Q6_K.gguf                       =qwen3-14b
D:\\llm\\gemma-2-9b-it-Q8_0.gguf                       =gemma-2-9b
mistral-7b-instruct-v0.3.Q4_K_M.gguf                   =mistral-7b
DeepSeek-Coder-V2-Lite-Instruct-IQ4_XS.gguf            =deepseek-coder-v2-lite
Qwen3-8B-abliterated-Q4_K_M.gguf                       =qwen3-8b
mmproj-Qwen3-VL-8B-F16.gguf                            !
GLM-4.7-Turbo-Q4_K_M.gguf                              !
llama-2-7b-chat.Q4_0.gguf                              =llama-2-7b
https://huggingface.co/unsloth/Qwen3-8B-GGUF/blob/main/Qwen3-8B-Q4_K_M.gguf   =qwen3-8b
https://modelscope.cn/models/Qwen/Qwen3-32B            =qwen3-32b
"""

TAGS = """
deepseek-r1:8b                                         =deepseek-r1-0528-qwen3-8b
deepseek-r1:70b                                        =deepseek-r1-distill-llama-70b
deepseek-r1:671b                                       ~671
deepseek-r1:9b                                         !
qwen3:8b                                               =qwen3-8b
qwen3:235b                                             ~235
qwen3:9b                                               !
llama3.1:70b                                           =llama-3.1-70b
llama3.1:8b-instruct-q4_K_M                            =llama-3.1-8b
llama3.3:latest                                        =llama-3.3-70b
gemma3:4b                                              =gemma-3-4b
gemma3:5b                                              !
phi4:14b                                               =phi-4
gpt-oss:20b                                            =gpt-oss-20b
gpt-oss:120b-cloud                                     =gpt-oss-120b
mistral-nemo:12b                                       =mistral-nemo-12b
mixtral:8x22b                                          =mixtral-8x22b
qwen2.5-coder:7b                                       ~7.6
qwen2.5vl:7b                                           ~8.3
llava:13b                                              ~13.4
codellama:34b                                          =codellama-34b
smollm2:135m                                           =smollm2-135m
"""

WORDS = """
通义千问3 8B                                            =qwen3-8b
通义千问 2.5 72B                                        =qwen2.5-72b
千问3 235B A22B                                        ~235
千问3 9B                                               !
深度求索 V3                                             =deepseek-v3
深度求索 V3.1                                           =deepseek-v3.1
深度求索 R1 蒸馏版 14B                                   =deepseek-r1-distill-qwen-14b
深度求索 R1 满血版                                       =deepseek-r1
qwen3 8b 某某版                                         !
qwen3 8b дообученная                                   !
千问3 8B 蒸馏版                                          !
R1满血版                                                =deepseek-r1
滿血版 deepseek-r1                                      =deepseek-r1
Qwen3 满血版                                            =qwen3-235b-a22b
DeepSeek-R1 满血 Q4_K_M                                 =deepseek-r1
智谱GLM4.7 Flash                                        =glm-4.7-flash
深度求索R1 32B蒸馏                                        =deepseek-r1-distill-qwen-32b
智谱 GLM-4.5                                            =glm-4.5
月之暗面 Kimi K2.6                                       =kimi-k2.6
文心 4.5 300B                                           ~300
混元 A13B                                               =hunyuan-a13b
deepseek v3 4bit                                       =deepseek-v3
Deepseek R1 70B distill                                =deepseek-r1-distill-llama-70b
llama 3.1 8b instruct fp8                              =llama-3.1-8b
Llama-3.1-8B-Instruct                                  =llama-3.1-8b
LLAMA 2 70B CHAT                                       =llama-2-70b
Qwen 3 32B AWQ                                         =qwen3-32b
gemma 3 27 b                                           =gemma-3-27b
kimi                                                   !
glm                                                    !
claude-sonnet-4                                        !
gpt-5                                                  !
gemini-2.5-pro                                         !
deepsek r1                                             !
lama3.1:8b                                             !
qwenn3-8b                                              !
"""

OTHERS = """
openai/whisper-large-v3-turbo                          !speech recognition
nvidia/parakeet-tdt-0.6b-v3                            !speech recognition
nvidia/canary-1b-v2                                    !speech recognition
Qwen/Qwen3-ASR-1.7B                                    !speech recognition
FunAudioLLM/SenseVoiceSmall                            !speech recognition
hexgrad/Kokoro-82M                                     !speech synthesis
ResembleAI/chatterbox                                  !speech synthesis
coqui/XTTS-v2                                          !speech synthesis
microsoft/VibeVoice-1.5B                               !speech synthesis
FunAudioLLM/CosyVoice2-0.5B                            !speech synthesis
SWivid/F5-TTS                                          !speech synthesis
Qwen/Qwen-Image-Edit-2509                              !image
black-forest-labs/FLUX.1-dev                           !image
black-forest-labs/FLUX.2-klein-4B                      !image
stabilityai/stable-diffusion-xl-base-1.0               !diffusion
stabilityai/sdxl-turbo                                 !image
tencent/HunyuanImage-3.0                               !image
Tongyi-MAI/Z-Image-Turbo                               !image
Wan-AI/Wan2.2-T2V-A14B                                 !video
Wan-AI/Wan2.2-TI2V-5B-Diffusers                        !video
tencent/HunyuanVideo-1.5                               !video
Lightricks/LTX-Video                                   !video
meituan-longcat/LongCat-Video                          !video
zai-org/CogVideoX-5b                                   !video
nvidia/Cosmos-Predict2-14B-Text2World                  !video
facebook/musicgen-large                                !music and sound
facebook/sam2-hiera-large                              !detection and segmentation
IDEA-Research/grounding-dino-base                      !detection and segmentation
Ultralytics/YOLO11                                     !detection and segmentation
openai/clip-vit-large-patch14                          !image classification and embedding
google/siglip2-so400m-patch14-384                      !image classification and embedding
tencent/Hunyuan3D-2                                    !3D
openvla/openvla-7b                                     !robot action
GSAI-ML/LLaDA-8B-Instruct                              !diffusion
nvidia/diar_streaming_sortformer_4spk-v2               !speech recognition
stepfun-ai/Step-Audio-EditX                            !speech synthesis
stepfun-ai/Step1X-Edit-v1p2                            !image
ideogram-ai/ideogram-4                                 !image
OpenMOSS-Team/MOVA-720p                                !video
facebook/metaclip-2-worldwide-huge-378                 !image classification and embedding
PaddlePaddle/PP-OCRv5_server_det                       !detection and segmentation
tencent/HunyuanWorld-Mirror                            !3D
physical-intelligence/pi05                             !robot action
"""


def rows(table: str) -> list[tuple[str, str]]:
    """Name and verdict of each line."""
    pairs = (line.rsplit("  ", 1) for line in table.strip().splitlines())
    return [(name.strip(), verdict.strip()) for name, verdict in pairs]


def understood(text: str) -> Identity | None:
    """What a name is, None where it is refused as unknown or as what runs beside a model."""
    try:
        return resolve(text)
    except (UnknownName, DraftModel, Projector):
        return None


def billions_of(identity: Identity) -> list[float]:
    """All counts that a publisher may mean."""
    facts = identity.entry
    built = counts(identity.model) if identity.model else None
    counted = (built.parameters, built.total) if built else (facts.parameters, facts.total_parameters)
    return [value / 1e9 for value in counted if value]


@pytest.mark.parametrize(("text", "verdict"), rows(SIBLINGS) + rows(TUNED) + rows(PACKED) + rows(TAGS) + rows(WORDS))
def test_no_name_is_taken_for_another(text: str, verdict: str) -> None:
    found = understood(text)
    if verdict == "!":
        assert found is None, found and found.entry.id
    elif verdict.startswith("="):
        assert found is not None and found.entry.id == verdict[1:]
    elif found is not None:
        wanted = float(verdict[1:])
        assert any(abs(count - wanted) <= max(0.05 * wanted, 0.6) for count in billions_of(found)), found.entry.id


@pytest.mark.parametrize(("text", "verdict"), rows(OTHERS))
def test_other_kinds_are_refused_with_their_kind(text: str, verdict: str) -> None:
    with pytest.raises(NotALanguageModel) as refusal:
        resolve(text)
    assert refusal.value.kind_of


DRAFTS = """
nvidia/gpt-oss-120b-Eagle3
RedHatAI/Qwen3-8B-speculator.eagle3
z-lab/Qwen3.5-27B-DFlash
google/gemma-4-31B-it-assistant
poolside/Laguna-XS-2.1-DFlash-NVFP4
amd/PARD-Llama-3.2-1B
"""


@pytest.mark.parametrize("name", DRAFTS.split())
def test_draft_models_are_refused_as_such(name: str) -> None:
    with pytest.raises(DraftModel) as refusal:
        resolve(name)
    assert refusal.value.hint


PACKED_FORMATS = """
cpatonn/Qwen3-VL-32B-Instruct-AWQ-8bit           int8
cpatonn/Qwen3-VL-32B-Instruct-AWQ-4bit           int4
CohereForAI/c4ai-command-r-plus-4bit             int4
google/gemma-3-12b-it-qat-q4_0-unquantized       bf16
google/gemma-3-12b-it-qat-q4_0-gguf              q4_0
Eco-Tech/GLM-5.1-w8a8c8                          int8
nvidia/Qwen3-32B-FP4-v2                          nvfp4
openbmb/MiniCPM-V-4.6-BNB                        nf4
Qwen/Qwen3-32B-FP8-Static-PerTensor              fp8
qwen3-32b 4bit                                   q4_k_m
"""


@pytest.mark.parametrize(("text", "form"), rows(PACKED_FORMATS))
def test_formats_of_packagers(text: str, form: str) -> None:
    chosen = resolve(text).quantisation
    assert chosen is not None and chosen.id == form


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("deepseek-r2", "deepseek-r1"), ("deepseek-v3.3", "deepseek-v3.2"), ("kimi-k4", "kimi-k3"), ("glm-5.8", "glm-5")],
)
def test_neighbours_are_of_the_nearest_generation(text: str, nearest: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        resolve(text)
    assert nearest in refusal.value.near[0]


@pytest.mark.parametrize("name", [text for text, verdict in rows(SIBLINGS) if verdict == "!"])
def test_a_made_up_name_leads_on(name: str) -> None:
    with pytest.raises(WellfedError) as refusal:
        resolve(name)
    assert refusal.value.hint
