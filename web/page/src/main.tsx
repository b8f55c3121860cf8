import { render } from 'preact';
import { watchServer } from './api/server';
import { loadConversations, openConversation } from './state/conversations';
import './styles/page.css';
import { App } from './ui/app';

render(<App />, document.getElementById('page')!);
watchServer();
void loadConversations();
addEventListener('hashchange', () => void openConversation(location.hash.slice(1)));
