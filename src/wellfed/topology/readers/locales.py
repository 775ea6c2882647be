"""lscpu and free in other languages: their words as the English ones (util-linux's and procps' own translations)."""

from __future__ import annotations

import re

_KEYS = {
    "Architecture": ("架构", "Architektur", "Arquitectura", "Arquitetura", "アーキテクチャ", "Архитектура"),
    "CPU(s)": ("CPU", "Processeur(s)"),
    "On-line CPU(s) list": (
        "在线 CPU 列表", "Liste der Online-CPU(s)", "Liste de processeur(s) en ligne", "Lista de la(s) CPU(s) en línea",
        "Lista de CPU(s) on-line", "オンラインになっている CPU のリスト", "オンラインの CPU リスト",
    ),
    "Off-line CPU(s) list": (
        "离线 CPU 列表", "Liste der Offline-CPU(s)", "Liste de processeur(s) hors ligne",
        "Lista de la(s) CPU(s) fuera de línea", "オフラインになっている CPU のリスト",
    ),
    "Vendor ID": (
        "厂商 ID", "Anbieterkennung", "Identifiant constructeur", "ID de fabricante", "ID de fornecedor", "ベンダー ID",
        "ID прроизводителя", "ID производителя",
    ),
    "Model name": (
        "型号名称", "Modellname", "Nom de modèle", "Nombre del modelo", "Nome do modelo", "モデル名", "Имя модели",
    ),
    "Thread(s) per core": (
        "每个核的线程数", "Thread(s) pro Kern", "Thread(s) par cœur", "Hilo(s) de procesamiento por núcleo",
        "Thread(s) per núcleo", "Thread(s) por núcleo", "コアあたりのスレッド数", "Потоков на ядро",
    ),
    "Core(s) per socket": (
        "每个座的核数", "Kern(e) pro Sockel", "Cœur(s) par socket", "Núcleo(s) por «socket»", "Núcleo(s) por socket",
        "Núcleo(s) por soquete", "ソケットあたりのコア数", "Ядер на сокет",
    ),
    "Socket(s)": ("座", "Sockel", "«Socket(s)»", "Soquete(s)", "ソケット数", "Сокетов"),
    "NUMA node(s)": (
        "NUMA 节点", "NUMA-Knoten", "Nœud(s) NUMA", "Modo(s) NUMA", "Nodo(s) NUMA", "Nó(s) de NUMA", "NUMA ノード数",
    ),
    "CPU max MHz": (
        "CPU 最大 MHz", "Maximale Taktfrequenz der CPU", "Vitesse maximale du processeur en MHz", "CPU MHz máx.",
        "CPU 最大 MHz",
    ),
    "Hypervisor vendor": (
        "超管理器厂商", "Hypervisor-Anbieter", "Constructeur d'hyperviseur", "Fabricante del hipervisor",
        "ハイパーバイザのベンダー",
    ),
    "Virtualization type": (
        "虚拟化类型", "Virtualisierungstyp", "Type de virtualisation", "Tipo de virtualización", "仮想化タイプ",
    ),
    "L3 cache": ("L3 缓存", "L3 Cache", "Cache L3", "Caché L3", "cache de L3", "L3 キャッシュ"),
    "Flags": ("标记", "Markierungen", "Drapeaux", "Drapaux", "Indicadores", "フラグ", "Флаги"),
}  # fmt: skip
_ENGLISH = {word: key for key, words in _KEYS.items() for word in words}
_NODE = re.compile(r"(?:[^:\d]*NUMA[^:\d]*(\d+)|nó(\d+) NUMA)[^:\d]*")  # NUMA 节点0 CPU, Nœud NUMA 0 de processeur(s)
_LINE = re.compile(r"^([ \t]*)([^:：\n]{1,60}?)[ \t\u00a0\u202f]*[:：]", re.M)

# What stands at the start of free's lines, and what its column of what can still be had is called.
MEMORY = ("Mem", "内存", "記憶體", "Speicher", "Mem.", "Память", "メモリ", "Memoria", "Memória")
SWAP = ("Swap", "交换", "置換", "Partition d'échange", "Échange", "Подкачка", "Swap/Inter", "スワップ", "Intercambio")
AVAILABLE = (
    "available", "可用", "verfügbar", "disponible", "disponível", "disponíveis", "доступно", "利用可能", "利用可",
)  # fmt: skip


def in_english(text: str) -> str:
    """lscpu's lines with its English words; what is in no table stays as it is, and so does English text, at once."""
    if "Model name:" in text or "Core(s) per socket:" in text:
        return text
    return _LINE.sub(_line, text)


def _line(match: re.Match[str]) -> str:
    key = match[2]
    node = _NODE.fullmatch(key)
    if node is not None:
        return f"{match[1]}NUMA node{node[1] or node[2]} CPU(s):"
    return f"{match[1]}{_ENGLISH.get(key, key)}:"
